"""What is searched for in one call, what a search works with, and what it answers."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np

from search_service.domain.arrays import F32, I64, Flags
from search_service.domain.queries import PlanKind
from search_service.shard.live.matches import Matches
from search_service.shard.live.sealed import Sealed
from search_service.shard.live.view import LiveView
from search_service.shard.search.ranking import Bound, Found, Ranked, rank
from search_service.shard.search.reranks import RerankTimes
from search_service.shard.search.scan_pool import ScanPool


@dataclass(frozen=True, slots=True)
class Task:
    """Queries that are answered by one call: float32 [B, D], floors float32 [B].

    `floor` is the least score wanted, `count` how many rows a query; `matches` None
    stands for all that is live.
    """

    queries: F32
    floor: F32
    count: int
    exact: bool
    expansion: int
    matches: Matches | None

    def part(self, numbers: I64) -> Task:
        """Return the task of the queries `numbers`, int64 [n]."""
        return replace(self, queries=self.queries[numbers], floor=self.floor[numbers])


@dataclass(frozen=True, slots=True)
class Scope:
    """What the steps of a search share: the moment, the queries, the bound, the threads.

    `matches` are what meets the filter; None: all does.
    """

    live: LiveView
    queries: F32
    matches: Matches | None
    bound: Bound
    pool: ScanPool
    reranks: RerankTimes

    @staticmethod
    def of(live: LiveView, task: Task, pool: ScanPool) -> Scope:
        """Return the scope of a task that has not begun."""
        bound, reranks = Bound(task.floor, task.count), RerankTimes(pool.threads)
        return Scope(live, task.queries, task.matches, bound, pool, reranks)

    @property
    def allowed(self) -> Flags | None:
        """Which ordinals meet the filter, bool by ordinal; None: all do."""
        return None if self.matches is None else self.matches.allowed

    def nodes(self, sealed: Sealed) -> I64:
        """Return the nodes of a segment that count, int64 [n]."""
        if self.matches is not None:
            return sealed.nodes_of(self.matches.ordinals)
        return np.flatnonzero(sealed.any_of(self.counts(sealed.ordinals)))

    def counts(self, ordinals: I64) -> Flags:
        """Say which of `ordinals` are live and meet the filter."""
        counting = self.live.alive(ordinals)
        if self.allowed is not None:
            counting &= self.allowed[ordinals]
        return counting

    def answer(self, found: list[Found], kinds: tuple[PlanKind, ...], expansion: int) -> Answer:
        """Rank what was found, by exact cosines."""
        began_s = time.perf_counter()
        ranked = rank(found, self.queries, self.bound.count, self.live, self.allowed)
        rerank_s = self.reranks.elapsed_s() + time.perf_counter() - began_s
        return Answer(ranked, kinds, sum(part.compared for part in found), expansion, rerank_s)


@dataclass(frozen=True, slots=True)
class Answer:
    """Ranked rows of all queries, and how each was found.

    `candidates` is how many rows a query were compared exactly, at most; that and to rank
    them took `rerank_s` seconds.
    """

    ranked: Ranked
    kinds: tuple[PlanKind, ...]
    candidates: int
    expansion: int
    rerank_s: float = 0.0

    def with_others(self, numbers: I64, others: Answer) -> Answer:
        """Put other answers in the place of those of the queries `numbers`, int64 [n]."""
        kept = ~np.isin(self.ranked.query, numbers)
        query = np.concatenate([self.ranked.query[kept], numbers[others.ranked.query]])
        order = np.argsort(query, kind="stable")
        ranked = Ranked(
            query[order],
            np.concatenate([self.ranked.ordinal[kept], others.ranked.ordinal])[order],
            np.concatenate([self.ranked.score[kept], others.ranked.score])[order],
        )
        kinds = list(self.kinds)
        for index, kind in zip(numbers.tolist(), others.kinds, strict=True):
            kinds[index] = PlanKind.EXACT_FALLBACK if kind is PlanKind.EXACT else kind
        candidates = max(self.candidates, others.candidates)
        rerank_s = self.rerank_s + others.rerank_s
        return Answer(ranked, tuple(kinds), candidates, self.expansion, rerank_s)
