"""A partitioned collection as one shard: what a front's servicers work with."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

from lookalike.wire.errors import Unavailable, Unsupported
from search_service.cluster import merging
from search_service.cluster.appending import Appender
from search_service.cluster.fanout import Partition, until_of
from search_service.cluster.first_tries import Overdue
from search_service.cluster.layout import divide, put_together
from search_service.cluster.loops import LoopThread
from search_service.cluster.offered import check_duplicates
from search_service.cluster.querying import Querying
from search_service.domain.arrays import I64
from search_service.domain.collection import (
    CollectionSpec,
    RecallMeasurement,
    SettingsChange,
    ShardStats,
)
from search_service.domain.conditions import AllOf, FieldPath, Filter, In
from search_service.domain.items import Facets, Fields, Order, OrderedItem, Place, StoredItem
from search_service.domain.mutations import Mutation, MutationOutcome
from search_service.domain.queries import QueryOutcome, QueryRequest
from search_service.domain.reading import ANYTIME, Reading
from search_service.domain.selections import Selection, SelectionOutcome

# Different values of a field in one partition, up to which facets are counted: all of them
# travel, since one that is rare in a partition may be frequent in all.
_MOST_VALUES = 100_000
_RECALL_S = 600.0
# For what nobody should wait long for: statistics, of all collections together, and advice.
_STATS_S = 2.0
# For a partition whose replicas were all away when they were asked last.
_GONE_S = 0.5
_NO_ORDINALS = "items of a partitioned collection have no common numbers"


class PartitionedShard:
    """`ShardApi` over the partitions of a collection."""

    def __init__(
        self,
        spec: CollectionSpec,
        partitions: Sequence[Partition],
        appender: Appender,
        loop: LoopThread,
        *,
        overdue: Overdue,
        give_up_s: float,
        save: Callable[[CollectionSpec], None],
    ) -> None:
        """`save` keeps a changed spec for whoever opens the collection later."""
        self._spec = spec
        self._partitions = partitions
        self._appender = appender
        self._loop = loop
        self._give_up_s = give_up_s
        self._save = save
        self._querying = Querying(
            partitions, appender.acknowledged, loop, overdue, give_up_s=give_up_s
        )

    @property
    def spec(self) -> CollectionSpec:
        """See `ShardApi`."""
        return self._spec

    def reserve_versions(self, count: int) -> range:
        """See `ShardApi`."""
        return self._loop.run(self._appender.reserve(count)).result()

    def submit(self, mutations: Sequence[Mutation]) -> Future[list[MutationOutcome]]:
        """See `ShardApi`."""
        return self._loop.run(self._appender.submit(mutations))

    def change_selection(self, selection: Selection) -> Future[SelectionOutcome]:
        """See `ShardApi`; not offered."""
        refused: Future[SelectionOutcome] = Future()
        refused.set_exception(
            Unsupported(
                "a partitioned collection is not changed by filter: list the ids that meet it "
                "(ListItems), and change those"
            )
        )
        return refused

    def query(self, request: QueryRequest) -> Future[list[QueryOutcome]]:
        """See `ShardApi`; partitions are asked at the same time, and their answers merged."""
        return self._querying.query(request)

    def query_here(self, request: QueryRequest) -> None:
        """See `ShardApi`; nothing is here."""
        return

    def get(
        self, ids: Sequence[str], fields: Fields, reading: Reading = ANYTIME
    ) -> list[StoredItem | None]:
        """See `ShardApi`."""
        divided = divide(ids, lambda id: id, len(self._partitions))
        asked = {number: ([id for _, id in pairs], fields) for number, pairs in divided.items()}
        left_s = until_of(reading.deadline_s, self._give_up_s) - time.monotonic()
        parts = self._read("get", asked, left_s, read_position=reading.position)
        return put_together(divided, parts, len(ids))

    def list_items(
        self, *, filter: Filter | None, after_id: str, page_size: int, fields: Fields
    ) -> list[StoredItem]:
        """See `ShardApi`."""
        pages = self._read_all("list_items", filter, after_id, page_size, fields)
        return merging.merge_pages(pages, page_size)

    def list_ordered(
        self,
        *,
        filter: Filter | None,
        order: Order,
        after: Place | None,
        page_size: int,
        fields: Fields,
    ) -> list[OrderedItem]:
        """See `ShardApi`."""
        pages = self._read_all("list_ordered", filter, order, after, page_size, fields)
        return merging.merge_ordered(pages, order, page_size)

    def facets(self, field: FieldPath, filter: Filter | None, limit: int) -> Facets:
        """See `ShardApi`."""
        parts: list[Facets] = self._read_all("facets", field, filter, _MOST_VALUES)
        if any(part.values > len(part.counts) for part in parts):
            raise Unsupported(
                f"a partition holds more than {_MOST_VALUES:,} values of the field, which are too "
                "many to be counted on a cluster: narrow the filter",
                field="field",
            )
        merged = merging.merge_facets(parts, limit)
        if len(merged.counts) == merged.values:
            return merged
        listed = In(field, tuple(value for value, _ in merged.counts))
        holding = self.count(listed if filter is None else AllOf((filter, listed)))
        # Counted a moment later, when there may be more of them.
        return replace(merged, other=max(0, merged.items - merged.missing - holding))

    def count(self, filter: Filter | None) -> int:
        """See `ShardApi`."""
        return sum(self._read_all("count", filter))

    def matching(self, filter: Filter | None) -> I64:
        """See `ShardApi`; not offered."""
        raise Unsupported(_NO_ORDINALS)

    def ids_of(self, ordinals: I64) -> list[str | None]:
        """See `ShardApi`; not offered."""
        raise Unsupported(_NO_ORDINALS)

    def facts_after(self, ordinal: int, count: int) -> list[tuple[int, bytes]]:
        """See `ShardApi`; not offered."""
        raise Unsupported(_NO_ORDINALS)

    def remarks(self, filter: Filter) -> list[str]:
        """See `ShardApi`; what every partition remarks, and nothing where one does not answer:
        an answer must not fail for want of advice."""
        asked = {each.number: (filter,) for each in self._partitions}
        try:
            first, *others = self._read("remarks", asked, min(self._give_up_s, _STATS_S))
        except Unavailable:
            return []
        return [remark for remark in first if all(remark in other for other in others)]

    def stats(self) -> ShardStats:
        """See `ShardApi`; of one replica of each partition, the same one while it answers: what
        it counts must not go back."""
        asked: dict[int, tuple[Any, ...]] = {each.number: () for each in self._partitions}
        within_s = min(self._give_up_s, _STATS_S)
        return merging.merge_stats(self._read("stats", asked, within_s, steady=True))

    def update_settings(self, change: SettingsChange) -> CollectionSpec:
        """See `ShardApi`; replicas that are away take it up when they are started."""
        check_duplicates(change.applied_to(self._spec))
        spec = change.applied_to(self._spec)
        self._save(spec)
        self._spec = spec
        self._loop.run(self._tell_all("update_settings", change)).result()
        return spec

    def adopt(self, spec: CollectionSpec) -> None:
        """Take up settings that another front has changed."""
        self._spec = spec

    def measure_recall(
        self, *, sample_size: int, limit: int, expansions: Sequence[int], seed: int
    ) -> list[RecallMeasurement]:
        """See `ShardApi`; each partition's queries are searched in their own partition."""
        each = max(1, sample_size // len(self._partitions))
        args = (each, limit, list(expansions), seed)
        asked = {partition.number: args for partition in self._partitions}
        # Another replica would do the same work beside, for nothing.
        parts = self._read("measure_recall", asked, _RECALL_S, retry_s=math.inf)
        return merging.merge_recall(parts)

    def prune_tombstones(self, below_version: int) -> int:
        """See `ShardApi`; the most that one replica of each partition forgot."""
        return self._loop.run(self._tell_all("prune_tombstones", below_version)).result()

    def note_damage(self, error: BaseException) -> None:
        """See `ShardApi`; a replica finds its damage itself."""

    def close(self) -> None:
        """See `ShardApi`; replicas live on without the front."""

    def _read_all(self, method: str, *args: Any) -> list[Any]:
        return self._read(method, {each.number: args for each in self._partitions})

    def _read(
        self,
        method: str,
        asked: dict[int, tuple[Any, ...]],
        within_s: float | None = None,
        *,
        read_position: int = 0,
        retry_s: float | None = None,
        steady: bool = False,
    ) -> list[Any]:
        """Ask some partitions for what they hold; answers in the order of `asked`."""
        until_s = time.monotonic() + (self._give_up_s if within_s is None else within_s)

        async def ask(number: int, args: tuple[Any, ...]) -> Any:
            position = max(read_position, self._appender.acknowledged[number])

            def arguments() -> tuple[Any, ...]:
                return method, args, position, max(0.0, until_s - time.monotonic())

            partition = self._partitions[number]
            # Readers hold threads, which are few: one waits for a partition that is gone.
            gone_until_s = time.monotonic() + (_GONE_S if partition.is_gone else math.inf)
            return await partition.ask(
                *("read", arguments, min(until_s, gone_until_s)), retry_s=retry_s, steady=steady
            )

        async def ask_all() -> list[Any]:
            return await asyncio.gather(*(ask(*each) for each in asked.items()))

        return self._loop.run(ask_all()).result()

    async def _tell_all(self, method: str, *args: Any) -> int:
        """Tell every replica something; return the sum over partitions of their greatest
        answers that are numbers."""
        told = await asyncio.gather(
            *(each.ask_all(method, *args, within_s=self._give_up_s) for each in self._partitions)
        )
        return sum(
            max((each for each in answers if isinstance(each, int)), default=0) for answers in told
        )
