"""Pages of groups and stacks: each a part of the answer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

# A page, and a group by itself, stay within 2 MB.
GROUPS_PER_PAGE = 200
MEMBERS_LISTED = 10_000


def pages(entries: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Yield entries in pages of at most so many, and of so many members."""
    page: list[dict[str, Any]] = []
    items = 0
    for entry in entries:
        size = len(entry.get("members", ()))
        if page and (len(page) == GROUPS_PER_PAGE or items + size > MEMBERS_LISTED):
            yield page
            page, items = [], 0
        page.append(entry)
        items += size
    if page:
        yield page
