"""The vectors of a shard by name: each searched by itself, of the same items and metadata."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from search_service.domain.collection import CollectionSpec
from search_service.domain.queries import QueryRequest
from search_service.shard.live.memory import Memory
from search_service.shard.metadata.filter_index import FilterIndex
from search_service.shard.opening import disk_segments
from search_service.shard.options import ShardOptions
from search_service.shard.search.answerer import Answerer
from search_service.shard.search.carried import CarriedItems
from search_service.shard.search.lines import QueryLines
from search_service.shard.search.scan_pool import ScanPool
from search_service.shard.upkeep import SegmentUpkeep
from search_service.store.damage import StoreHealth
from search_service.store.items import ItemReader


class Spaces:
    """One memory, with segments and lines of queries, for each name of a collection."""

    def __init__(
        self,
        spec: Callable[[], CollectionSpec],
        directory: Path,
        store_path: Path,
        own: Memory,
        *,
        reader: ItemReader,
        carried: CarriedItems,
        filters: FilterIndex,
        pool: ScanPool,
        options: ShardOptions,
        health: StoreHealth,
    ) -> None:
        """`own` holds the vectors that items have without a name."""
        self._own = own
        self.memories: list[Memory] = []
        self._upkeeps: list[SegmentUpkeep] = []
        self._lines: list[QueryLines] = []
        for number in range(1, len(spec().vectors) + 1):
            mine = spec().of(number)
            memory = Memory(mine.dimension, beside=own)
            folder = f"segments-{number}"
            upkeep = SegmentUpkeep(
                memory,
                disk_segments(directory, mine, folder),
                reader,
                store_path=store_path,
                segments_path=directory / folder,
                spec=partial(_spec_of, spec, number),
                options=options,
                health=health,
                space=number,
            )
            answerer = Answerer(
                *(memory, filters, carried),
                expansion=lambda: spec().index.expansion_search,
                heal=upkeep.heal,
                pool=pool,
            )
            self.memories.append(memory)
            self._upkeeps.append(upkeep)
            self._lines.append(QueryLines(answerer, filters.when_ready, mine.dimension, options))

    @property
    def parts(self) -> Sequence[tuple[Memory, SegmentUpkeep]]:
        """The memory of each name and what keeps its segments, by number from 1 on."""
        return list(zip(self.memories, self._upkeeps, strict=True))

    @property
    def most_unindexed(self) -> int:
        """The most vectors of one name, or none, that no graph holds."""
        return max(memory.unindexed for memory in (self._own, *self.memories))

    def lines_for(self, request: QueryRequest, own: QueryLines) -> QueryLines:
        """Return the lines for a request; `own` are those of the vectors without a name."""
        return self._lines[request.space - 1] if request.space else own

    def start(self) -> None:
        """Begin to answer, and to build."""
        for lines in self._lines:
            lines.start()
        for upkeep in self._upkeeps:
            upkeep.start()

    def build_now(self) -> None:
        """Have what is not indexed indexed soon."""
        for upkeep in self._upkeeps:
            upkeep.build_now()

    def close_lines(self) -> None:
        """Finish the queries that run; refuse the rest."""
        for lines in self._lines:
            lines.close()

    def close(self) -> None:
        """End builds and let go of the segments."""
        for upkeep in self._upkeeps:
            upkeep.close()


def _spec_of(spec: Callable[[], CollectionSpec], number: int) -> CollectionSpec:
    return spec().of(number)
