"""Lists of items that are too large for as many as are usually read at once."""

from __future__ import annotations

import asyncio

import pytest

from lookalike.wire.errors import LimitExceeded
from search_service.domain.items import Fields, StoredItem
from search_service.servicers.reads import _page


def listed(together: int, page_size: int) -> tuple[list[str], str | None]:
    """List 100 items, of which an answer holds so many."""

    async def read(after: str | None, count: int) -> list[tuple[str | None, StoredItem]]:
        if count > together:
            raise LimitExceeded("fields", "the items are too large")
        ids = [f"{n:02}" for n in range(100)]
        chosen = [id for id in ids if id > (after or "")][:count]
        return [(id, StoredItem(id=id, version=1, update_time_us=0)) for id in chosen]

    response, last = asyncio.run(_page(read, "", page_size, Fields(vector=True), as_json=False))
    return [item.id for item in response.items], last


def test_a_page_of_large_items_is_read_a_few_at_a_time() -> None:
    assert listed(7, 30) == ([f"{n:02}" for n in range(30)], "29")
    ids, last = listed(7, 500)
    assert (len(ids), last) == (100, None)


def test_an_item_that_no_answer_holds_is_said() -> None:
    with pytest.raises(LimitExceeded):
        listed(0, 30)
