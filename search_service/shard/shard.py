"""A collection on one machine: the parts, put together and taken down in order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path

import apsw

from search_service.compiled.jit import keep_loops
from search_service.domain.arrays import I64
from search_service.domain.collection import (
    CollectionSpec,
    RecallMeasurement,
    SettingsChange,
    ShardStats,
)
from search_service.domain.conditions import FieldPath, Filter
from search_service.domain.items import Facets, Fields, Order, OrderedItem, Place, StoredItem
from search_service.domain.mutations import Mutation, MutationOutcome
from search_service.domain.queries import QueryOutcome, QueryRequest
from search_service.domain.selections import Selection, SelectionOutcome
from search_service.segments.api import SegmentSource
from search_service.shard.live.changed_ids import ChangedIds
from search_service.shard.live.item_cache import ItemCache
from search_service.shard.live.memory import Memory
from search_service.shard.metadata.filter_index import FilterIndex
from search_service.shard.metadata.filter_log import FilterLog
from search_service.shard.metadata.listing import Listing
from search_service.shard.opening import SEGMENTS, disk_segments, load, load_named, open_store
from search_service.shard.options import ShardOptions
from search_service.shard.refusals import refused, too_many_unindexed
from search_service.shard.search.answerer import Answerer
from search_service.shard.search.carried import CarriedItems
from search_service.shard.search.lines import QueryLines
from search_service.shard.search.recall import measure_recall
from search_service.shard.search.scan_pool import ScanPool
from search_service.shard.spaces import Spaces
from search_service.shard.stats import read_stats
from search_service.shard.upkeep import SegmentUpkeep
from search_service.shard.writing.log_position import LogPosition
from search_service.shard.writing.selecting import change_selection
from search_service.shard.writing.settings_held import SettingsHeld
from search_service.shard.writing.twinned import Twinned
from search_service.shard.writing.write_queue import only_deletes
from search_service.shard.writing.writer import Writer
from search_service.store import schema, upkeep
from search_service.store.ballast import Ballast
from search_service.store.checker import StoreChecker, look
from search_service.store.damage import RowDamaged, StoreHealth, damaged, is_damage
from search_service.store.items import ItemReader
from search_service.store.sequencer import Sequencer

STORE = "store.db"
BALLAST = "ballast"


class Shard:
    """`ShardApi` over a directory; opening reads ids and the vectors that no segment holds."""

    def __init__(
        self,
        directory: Path,
        db: apsw.Connection,
        source: SegmentSource,
        options: ShardOptions,
        on_fatal: Callable[[], None],
        health: StoreHealth | None = None,
    ) -> None:
        """Put the parts together; see `create` and `open`."""
        keep_loops()  # a scan of the head may be the first to compile one
        path = directory / STORE
        self._directory = directory
        self._options = options
        self._settings = SettingsHeld(db)
        spec = self._settings.spec
        self._health = health or StoreHealth(directory.name)
        self._memory = Memory(spec.dimension)
        self._reader = ItemReader(path, options.vfs, self._health, spec.names)
        self._pool = ScanPool(options.threads)
        cache = ItemCache(options.item_cache_bytes)
        changed = ChangedIds(cache.forget)
        log = FilterLog(db)
        self._filters = FilterIndex(directory, STORE, spec.uid, log, options, self._health)
        carried = CarriedItems(self._reader, cache)
        self._items = Listing(self._memory, self._filters, self._reader)
        self._upkeep = SegmentUpkeep(
            self._memory,
            source,
            self._reader,
            store_path=path,
            segments_path=directory / SEGMENTS,
            spec=self._settings.read,
            options=options,
            health=self._health,
        )
        self._spaces = Spaces(
            *(self._settings.read, directory, path, self._memory),
            reader=self._reader,
            carried=carried,
            filters=self._filters,
            pool=self._pool,
            options=options,
            health=self._health,
        )
        self._writer = Writer(
            db,
            spec=self._settings.read,
            memory=self._memory,
            named=self._spaces.memories,
            filters=self._filters,
            changed=changed.note,
            sequencer=Sequencer(int(schema.read_meta(db, "versions_upto"))),
            ballast=Ballast(directory / BALLAST, options.ballast_bytes, path.stat().st_size),
            options=options,
            pool=self._pool,
            heal=self._upkeep.heal,
            health=self._health,
            on_fatal=on_fatal,
        )
        self.log_position = LogPosition(db, self._writer.run)
        self.twinned = Twinned(path, options.vfs, changed, self._writer.versions, self._writer.run)
        answerer = Answerer(
            *(self._memory, self._filters, carried),
            expansion=lambda: self.spec.index.expansion_search,
            heal=self._upkeep.heal,
            pool=self._pool,
        )
        self._queries = QueryLines(answerer, self._filters.when_ready, spec.dimension, options)
        self._checker = StoreChecker(
            *(path, options.vfs, spec.dimension, self._health),
            bytes_per_s=options.check_bytes_per_s,
        )
        look(db, spec.dimension, self._health)
        live, ids = load(db, path, self._memory, self._upkeep, self._health)
        load_named(db, path, self._spaces.parts, (live, ids), self._health)
        self._start(live)

    @classmethod
    def create(
        cls,
        directory: Path,
        spec: CollectionSpec,
        options: ShardOptions,
        on_fatal: Callable[[], None],
    ) -> Shard:
        """Make an empty shard in `directory`, which is there and empty, durably."""
        db = schema.create(directory / STORE, spec, options.vfs)
        return cls(directory, db, disk_segments(directory, spec), options, on_fatal)

    @classmethod
    def open(cls, directory: Path, options: ShardOptions, on_fatal: Callable[[], None]) -> Shard:
        """Open the shard in `directory`.

        Raises:
            StoreDamaged: what every use of the store needs is damaged.
            Unavailable: STORE_FAILED, the store is missing or foreign.
        """
        db, spec, health = open_store(directory / STORE, options.vfs)
        segments = disk_segments(directory, spec)
        try:
            return cls(directory, db, segments, options, on_fatal, health)
        except (apsw.Error, RowDamaged) as error:
            if not is_damage(error):
                raise
            raise damaged("the collection's store") from error

    def note_damage(self, error: BaseException) -> None:
        """See `ShardApi`."""
        self._health.note(error, "met while it was read whole")

    @property
    def spec(self) -> CollectionSpec:
        """See `ShardApi`."""
        return self._settings.spec

    def reserve_versions(self, count: int) -> range:
        """See `ShardApi`."""
        return self._writer.reserve_versions(count)

    def submit(self, mutations: Sequence[Mutation]) -> Future[list[MutationOutcome]]:
        """See `ShardApi`."""
        if self._spaces.most_unindexed >= self._options.unindexed_limit and not only_deletes(
            mutations
        ):
            return refused(too_many_unindexed())
        return self._writer.submit(mutations)

    def change_selection(self, selection: Selection) -> Future[SelectionOutcome]:
        """See `ShardApi`."""
        return change_selection(selection, self._memory, self._filters, self._writer.submit)

    def query(self, request: QueryRequest) -> Future[list[QueryOutcome]]:
        """See `ShardApi`."""
        return self._spaces.lines_for(request, self._queries).submit(request)

    def query_here(self, request: QueryRequest) -> list[QueryOutcome] | None:
        """See `ShardApi`."""
        return self._spaces.lines_for(request, self._queries).answer_here(request)

    def get(self, ids: Sequence[str], fields: Fields) -> list[StoredItem | None]:
        """See `ShardApi`."""
        return self._reader.in_order(ids, fields)

    def list_items(
        self, *, filter: Filter | None, after_id: str, page_size: int, fields: Fields
    ) -> list[StoredItem]:
        """See `ShardApi`."""
        return self._items.page(filter, after_id, page_size, fields)

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
        return self._items.ordered_page(filter, order, after, page_size, fields)

    def facets(self, field: FieldPath, filter: Filter | None, limit: int) -> Facets:
        """See `ShardApi`."""
        return self._items.facets(field, filter, limit)

    def count(self, filter: Filter | None) -> int:
        """See `ShardApi`."""
        return self._items.count(filter)

    def matching(self, filter: Filter | None) -> I64:
        """See `ShardApi`."""
        return self._items.matching(filter)

    def ids_of(self, ordinals: I64) -> list[str | None]:
        """See `ShardApi`."""
        return self._memory.ids_of(ordinals)

    def facts_after(self, ordinal: int, count: int) -> list[tuple[int, bytes]]:
        """See `ShardApi`."""
        return self._reader.facts_between(ordinal, self._memory.newest_ordinal, count)

    def remarks(self, filter: Filter) -> list[str]:
        """See `ShardApi`."""
        return self._items.remarks(filter)

    def stats(self) -> ShardStats:
        """See `ShardApi`."""
        clock = self._writer.clock
        upkeeps = [self._upkeep, *(upkeep for _, upkeep in self._spaces.parts)]
        return read_stats(self._memory, upkeeps, self._directory, self._health, clock)

    def update_settings(self, change: SettingsChange) -> CollectionSpec:
        """See `ShardApi`."""
        return self._settings.update(change, self._writer.run)

    def measure_recall(
        self, *, sample_size: int, limit: int, expansions: Sequence[int], seed: int
    ) -> list[RecallMeasurement]:
        """See `ShardApi`."""
        return measure_recall(
            self._memory,
            self._reader.vectors,
            sample_size=sample_size,
            limit=limit,
            expansions=expansions,
            seed=seed,
            pool=self._pool,
        )

    def prune_tombstones(self, below_version: int) -> int:
        """See `ShardApi`."""
        return self._writer.run(lambda db: upkeep.prune(db, below_version)).result()

    def build_now(self) -> None:
        """Have what is not indexed indexed soon, whatever its size."""
        self._upkeep.build_now()
        self._spaces.build_now()

    def close(self) -> None:
        """See `ShardApi`."""
        self._checker.close()
        self._filters.close()
        self._writer.stop()
        self._queries.close()
        self._spaces.close_lines()
        self._upkeep.close()
        self._spaces.close()
        self._reader.close()
        self._writer.close()
        self._pool.close()

    def _start(self, live: I64) -> None:
        self._filters.start(live, self._writer.run)
        self._writer.start()
        self._queries.start()
        self._upkeep.start()
        self._spaces.start()
        self._checker.start()
