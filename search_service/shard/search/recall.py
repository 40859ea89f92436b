"""Measures the graph against an exact scan, on stored vectors as queries."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np

from search_service.domain.arrays import F32, I64
from search_service.domain.collection import RecallMeasurement
from search_service.shard.live.memory import Memory
from search_service.shard.live.view import LiveView
from search_service.shard.search.ranking import LEAST_FLOOR
from search_service.shard.search.scan_pool import ScanPool
from search_service.shard.search.search import search
from search_service.shard.search.task import Answer, Task

ReadVectors = Callable[[I64], tuple[I64, F32]]


def measure_recall(
    memory: Memory,
    read_vectors: ReadVectors,
    *,
    sample_size: int,
    limit: int,
    expansions: Sequence[int],
    seed: int,
    pool: ScanPool,
) -> list[RecallMeasurement]:
    """Run up to `sample_size` stored vectors as single queries, for each expansion.

    A query misses itself when its own item is not in the graph's answer though
    the exact one, ties included, has it.
    """
    with memory.view() as live:
        own, queries = read_vectors(_sample(live, sample_size, seed))
        exact, exact_s = _timed(live, queries, limit, 0, pool)
        measured = []
        for expansion in expansions:
            graph, graph_s = _timed(live, queries, limit, expansion, pool)
            shares = [
                _share_found(want, got, limit) for want, got in zip(exact, graph, strict=True)
            ]
            measured.append(
                RecallMeasurement(
                    expansion_search=expansion,
                    recall=float(np.mean(shares)) if shares else 1.0,
                    least_recall=min(shares, default=1.0),
                    self_misses=sum(
                        ordinal in want.ranked.ordinal[: max(limit, 1)]
                        and ordinal not in got.ranked.ordinal
                        for ordinal, want, got in zip(own.tolist(), exact, graph, strict=True)
                    ),
                    queries=len(queries),
                    limit=limit,
                    median_s=float(np.median(graph_s)) if graph_s else 0.0,
                    median_exact_s=float(np.median(exact_s)) if exact_s else 0.0,
                )
            )
    return measured


def _sample(live: LiveView, size: int, seed: int) -> I64:
    ordinals = np.flatnonzero(live.died_at[: live.upto] > live.epoch)
    if len(ordinals) <= size:
        return ordinals
    return np.sort(np.random.default_rng(seed).choice(ordinals, size, replace=False))


def _timed(
    live: LiveView, queries: F32, limit: int, expansion: int, pool: ScanPool
) -> tuple[list[Answer], list[float]]:
    answers: list[Answer] = []
    times_s: list[float] = []
    for query in queries:
        task = Task(
            queries=query[None, :],
            floor=np.full(1, LEAST_FLOOR, dtype=np.float32),
            count=limit,
            exact=expansion == 0,
            expansion=expansion,
            matches=None,
        )
        begun_s = time.perf_counter()
        answers.append(search(live, task, pool))
        times_s.append(time.perf_counter() - begun_s)
    return answers, times_s


def _share_found(want: Answer, got: Answer, limit: int) -> float:
    """Return the share of the exact answer's places that the graph filled as well.

    By score, so that one of several equal items is as good as another.
    """
    best = want.ranked.score[:limit]
    if not len(best):
        return 1.0
    least = best[-1]
    return min(1.0, int(np.count_nonzero(got.ranked.score[:limit] >= least)) / len(best))
