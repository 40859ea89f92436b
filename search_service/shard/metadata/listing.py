"""Lists and counts items, by filter too."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from lookalike.wire.errors import Reason, Unavailable
from search_service.domain.arrays import I64, Flags
from search_service.domain.conditions import FieldPath, Filter
from search_service.domain.items import Facets, Fields, Order, OrderedItem, Place, StoredItem
from search_service.shard.live.matches import Matches
from search_service.shard.live.memory import Memory
from search_service.shard.metadata.facets import count_facets
from search_service.shard.metadata.filter_index import FilterIndex
from search_service.shard.metadata.ordering import next_places
from search_service.store.items import ItemReader

# Ids read at a time to find those that meet a filter: they are short.
IDS_PER_READ = 20_000
# Bounds how long a read waits after a start; without the saved index a million items
# may take longer.
FILTERS_WAIT_S = 60.0


class Listing:
    """Reads over store and filters; calls may take their time, and block."""

    def __init__(self, memory: Memory, filters: FilterIndex, reader: ItemReader) -> None:
        self._memory = memory
        self._filters = filters
        self._reader = reader

    def count(self, filter: Filter | None) -> int:
        """Count items."""
        if filter is None:
            return self._memory.items
        return len(self._matches(filter).ordinals)

    def matching(self, filter: Filter | None) -> I64:
        """Return the live ordinals that meet `filter`, int64 [n] ascending."""
        return self._matches(filter).ordinals

    def remarks(self, filter: Filter) -> list[str]:
        """Say what a person should know of a filter that meets less than was meant."""
        self._wait()
        return self._filters.remarks(filter)

    def page(
        self, filter: Filter | None, after_id: str, page_size: int, fields: Fields
    ) -> list[StoredItem]:
        """Read up to `page_size` items after `after_id`, sorted by id."""
        if filter is None:
            return self._reader.page(after_id, page_size, fields)
        allowed = self._matches(filter).allowed
        page: list[StoredItem] = []
        while wanted := page_size - len(page):
            chosen = self._ids_that_meet(allowed, after_id, wanted)
            found = self._reader.get(chosen, fields)
            page += [found[id] for id in chosen if id in found]
            if len(chosen) < wanted:
                break
            after_id = chosen[-1]  # others take the places of those deleted meanwhile
        return page

    def ordered_page(
        self,
        filter: Filter | None,
        order: Order,
        after: Place | None,
        page_size: int,
        fields: Fields,
    ) -> list[OrderedItem]:
        """Read up to `page_size` items that stand after `after` in `order`."""
        everything, ids = self._live(filter)
        spread = self._filters.spread(order.field, everything)
        page: list[OrderedItem] = []
        while wanted := page_size - len(page):
            places = next_places(spread, everything, ids, order, after, wanted)
            found = self._reader.get([place.id for place in places], fields)
            page += [OrderedItem(place, found[place.id]) for place in places if place.id in found]
            if len(places) < wanted:
                break
            after = places[-1]
        return page

    def facets(self, field: FieldPath, filter: Filter | None, limit: int) -> Facets:
        """Count the values of `field`; the `limit` most frequent are listed."""
        everything, _ = self._live(filter)
        return count_facets(self._filters.spread(field, everything), len(everything), limit)

    def _ids_that_meet(self, allowed: Flags, after_id: str, count: int) -> list[str]:
        """Read up to `count` ids after `after_id` whose ordinals are allowed."""
        chosen: list[str] = []
        while len(chosen) < count:
            ids = self._reader.ids_after(after_id, IDS_PER_READ)
            chosen += [id for id, ordinal in ids if ordinal < len(allowed) and allowed[ordinal]]
            if len(ids) < IDS_PER_READ:
                break
            after_id = ids[-1][0]
        return chosen[:count]

    def _live(self, filter: Filter | None) -> tuple[I64, Sequence[str | None]]:
        """Return the live ordinals that meet `filter`, ascending, and ids by ordinal."""
        matches = self._matches(filter)
        with self._memory.view() as live:
            return matches.ordinals, live.ids

    def _matches(self, filter: Filter | None) -> Matches:
        self._wait()
        with self._memory.lock:
            return self._filters.matches(filter, self._memory.newest_ordinal + 1)

    def _wait(self) -> None:
        ready = threading.Event()
        self._filters.when_ready(ready.set)
        if not ready.wait(FILTERS_WAIT_S):
            raise Unavailable(
                "the collection's metadata is still being read: try again in a minute",
                reason=Reason.NOT_READY,
                retry_delay_s=10.0,
            )
