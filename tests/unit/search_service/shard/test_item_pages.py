"""Pages stay full when items are deleted between finding their ids and reading them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from search_service.domain.items import Fields, Order, StoredItem
from search_service.domain.mutations import Delete
from search_service.filters.text import parse_filter
from search_service.shard.live.memory import Memory
from search_service.shard.metadata.filter_index import FilterIndex
from search_service.shard.metadata.filter_log import FilterLog
from search_service.shard.metadata.listing import Listing
from search_service.shard.shard import STORE
from search_service.store import schema
from search_service.store.damage import StoreHealth
from search_service.store.items import ItemReader
from search_service.store.vectors import live_ids
from tests.unit.search_service.shard.kit import SMALL, create, fill, random_units, reopen

GONE = ("item-11", "item-12", "item-13")


class LateReader(ItemReader):
    """Before each of its first reads, one more item is deleted, in the store itself."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory / STORE, "", StoreHealth("uid-1"))
        self._directory = directory
        self._left = list(GONE)

    def get(self, ids: Sequence[str], fields: Fields) -> dict[str, StoredItem]:
        """Delete, then read."""
        if self._left:
            shard = reopen(self._directory)
            shard.submit([Delete(self._left.pop(0))]).result(60)
            shard.close()
        return super().get(ids, fields)


def never_damaged(error: BaseException) -> None:
    raise AssertionError("there is no damage") from error


def test_a_page_is_short_only_at_the_end(tmp_path: Path) -> None:
    shard = create(tmp_path)
    fill(shard, random_units(30, 8))
    shard.close()
    db = schema.open_reader(tmp_path / STORE, "")
    ordinals, ids = live_ids(db, 10**6, never_damaged)
    memory = Memory(8)
    memory.load(ordinals, ids, 31)
    filters = FilterIndex(tmp_path, STORE, "uid-1", FilterLog(db), SMALL, StoreHealth("uid-1"))
    filters.start(ordinals, lambda _: _never())
    reader = LateReader(tmp_path)
    items = Listing(memory, filters, reader)
    try:
        page = items.page(parse_filter("number >= 10"), "", 5, Fields())
        # One of the five that were found first is gone; another took its place.
        assert [item.id[5:] for item in page] == ["10", "12", "13", "14", "15"]
        ordered = items.ordered_page(None, Order(("number",)), None, 15, Fields())
        numbers = [number for number in range(30) if f"item-{number}" not in GONE]
        assert [each.item.id for each in ordered] == [f"item-{number}" for number in numbers[:15]]
    finally:
        filters.close()
        reader.close()
        db.close()


def _never() -> NoReturn:
    raise AssertionError("too few items for a file")
