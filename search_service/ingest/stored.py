"""Which versions of items are stored."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from lookalike.wire.errors import LookalikeError
from search_service.domain.items import NO_FIELDS

if TYPE_CHECKING:
    from search_service.ingest.collections import Collections


def vector_versions(
    collections: Collections, items: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], int]:
    """Return the versions of stored vectors by (collection UID, id); may read the disk.

    What is not stored, or stands in a collection that cannot be read, is left out.
    """
    by_uid: dict[str, list[str]] = {}
    for uid, item_id in items:
        by_uid.setdefault(uid, []).append(item_id)
    found: dict[tuple[str, str], int] = {}
    for uid, ids in by_uid.items():
        try:
            stored = collections.find(uid).shard.get(ids, NO_FIELDS)
        except LookalikeError:
            continue  # the collection is deleted or closed: nothing is known of its items
        for item in stored:
            if item is not None:
                found[uid, item.id] = item.vector_version
    return found
