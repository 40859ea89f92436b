"""The near-duplicate verdict on vectors that are about to be stored."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from search_service.domain.arrays import F32
from search_service.domain.collection import CollectionSpec
from search_service.domain.confinement import Confinement
from search_service.domain.effects import Added, Effect, Killed
from search_service.domain.mutations import Mutation, NearDuplicate, Upsert
from search_service.shard.live.matches import Matches
from search_service.shard.live.view import LiveView
from search_service.shard.metadata.filter_index import FilterIndex
from search_service.shard.search.by_item import search_items
from search_service.shard.search.ranking import MARGIN
from search_service.shard.search.scan_pool import ScanPool
from search_service.shard.search.task import Task

# Neighbours looked up at first; more where all of them go in the same group.
NEIGHBOURS = 8
# Rows of a product between the group's own vectors: 4,096 x 512 floats, 8 MiB.
ROWS_PER_PRODUCT = 512


class DuplicateFinder:
    """Finds near-duplicates among what is stored and what a group stores before.

    All upserts of a group are looked up in one search, so the cost is that of a
    batched query.
    """

    def __init__(
        self,
        live: LiveView,
        mutations: Sequence[Mutation],
        *,
        spec: CollectionSpec,
        filters: FilterIndex,
        pool: ScanPool,
    ) -> None:
        dimension = spec.dimension
        self._live = live
        self._threshold = np.float32(spec.duplicates.threshold)
        self._filters = filters
        self._pool = pool
        vectors = [
            (place, vector)
            for place, mutation in enumerate(mutations)
            if isinstance(mutation, Upsert)
            for vector in (mutation.vector, *mutation.further)
            if vector.shape == (dimension,)
        ]
        self._rows_of: defaultdict[int, list[int]] = defaultdict(list)
        self._vectors: F32 = np.zeros((len(vectors), dimension), dtype=np.float32)
        for row, (place, vector) in enumerate(vectors):
            self._rows_of[place].append(row)
            self._vectors[row] = vector
        self._task = Task(
            queries=self._vectors,
            floor=np.full(len(vectors), self._threshold, dtype=np.float32),
            count=NEIGHBOURS,
            exact=False,
            expansion=spec.index.expansion_search,
            matches=None,
        )
        self._stored = self._look_up(self._task)
        self._pairs = self._pairs_within()
        self._fresh: dict[int, Added] = {}
        self._dead: set[int] = set()
        self._changed: set[int] = set()
        self._parts: dict[Confinement, Matches] = {}
        self._seen_effects = 0
        self._last_rows: list[int] = []

    def nearest(
        self, index: int, id: str, effects: list[Effect], guard: Confinement | None = None
    ) -> NearDuplicate | None:
        """Return the live item other than `id` that is nearest to one of its vectors, at or
        above the threshold.

        With `guard` the nearest of those that its caller may see; while the metadata is
        still read after a start, of those whose metadata is known.
        """
        self._follow(effects)
        self._last_rows = self._rows_of[index]
        found = [near for row in self._last_rows for near in self._near(row, id, guard)]
        return min(found, key=lambda near: (-near.score, near.id), default=None)

    def _near(self, row: int, id: str, guard: Confinement | None) -> list[NearDuplicate]:
        found = self._stored_near(row, id) if guard is None else self._shown_near(row, id, guard)
        vector = self._vectors[row].astype(np.float64)
        for other in self._pairs.get(row, ()):
            item = self._fresh.get(other)
            if item is None or item.id == id or item.ordinal in self._dead:
                continue
            if guard is not None and not self._shows(guard, item):
                continue
            near = self._vectors[other].astype(np.float64)
            score = np.float32(min(1.0, float(np.dot(vector, near))))
            if score >= self._threshold:
                found.append(NearDuplicate(item.id, float(score)))
        return found

    def _follow(self, effects: list[Effect]) -> None:
        # An upsert adds one item at most, between its `nearest` and the next.
        for effect in effects[self._seen_effects :]:
            if isinstance(effect, Added):
                self._fresh |= dict.fromkeys(self._last_rows, effect)
            elif isinstance(effect, Killed):
                self._dead.add(effect.ordinal)
            else:
                self._changed.add(effect.ordinal)
        self._seen_effects = len(effects)

    def _stored_near(self, row: int, id: str) -> list[NearDuplicate]:
        near = self._stored[row]
        kept = self._others(near, id)
        if not kept and len(near) >= NEIGHBOURS:
            task = replace(
                self._task,
                queries=self._task.queries[row : row + 1],
                floor=self._task.floor[row : row + 1],
                count=len(self._dead) + 2,
                exact=True,
            )
            kept = self._others(self._look_up(task)[0], id)
        return kept

    def _shown_near(self, row: int, id: str, guard: Confinement) -> list[NearDuplicate]:
        matches = self._parts.get(guard)
        if matches is None:
            with self._filters.commit_lock:  # the loader may be reading
                owned = self._filters.matches(guard.within(None), self._live.upto)
                matches = self._live.with_further(owned)
            self._parts[guard] = matches
        task = replace(
            self._task,
            queries=self._task.queries[row : row + 1],
            floor=self._task.floor[row : row + 1],
            # Those that the group has killed or changed before stand among them still.
            count=len(self._dead) + len(self._changed) + 2,
            matches=matches,
        )
        near = self._look_up(task)[0]
        return self._others([each for each in near if each[0] not in self._changed], id)

    def _shows(self, guard: Confinement, item: Added) -> bool:
        return item.ordinal not in self._changed and guard.shows(item.metadata)

    def _others(self, near: list[tuple[int, float]], id: str) -> list[NearDuplicate]:
        return [
            NearDuplicate(other, score)
            for ordinal, score in near
            if ordinal not in self._dead
            and (other := self._live.ids[ordinal]) is not None
            and other != id
        ]

    def _look_up(self, task: Task) -> list[list[tuple[int, float]]]:
        found: list[list[tuple[int, float]]] = [[] for _ in task.queries]
        if not len(task.queries) or not self._live.items:
            return found
        ranked = search_items(self._live, task, self._pool).ranked
        for query, ordinal, score in zip(
            ranked.query.tolist(), ranked.ordinal.tolist(), ranked.score.tolist(), strict=True
        ):
            if score >= self._threshold:
                found[query].append((ordinal, score))
        return found

    def _pairs_within(self) -> dict[int, list[int]]:
        """List for each row the rows before it that may be near."""
        pairs: dict[int, list[int]] = {}
        for start in range(0, len(self._vectors), ROWS_PER_PRODUCT):
            some = self._vectors[start : start + ROWS_PER_PRODUCT]
            near = some @ self._vectors[: start + len(some)].T >= self._threshold - MARGIN
            for row, earlier in zip(*np.nonzero(near), strict=True):
                if earlier < start + row:
                    pairs.setdefault(int(start + row), []).append(int(earlier))
        return pairs
