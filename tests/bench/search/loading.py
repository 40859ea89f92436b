"""Fills a collection at the pace that its builder can follow, and asks each item for itself."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from lookalike.wire.vectors import F32
from tests.bench.search.peers.environment import Missing
from tests.bench.search.service import Service

_CHUNK_ROWS = 50_000
# The service refuses writes at 400,000 unindexed vectors.
_MOST_WAITING = 250_000
_POLL_S = 0.5
_SELF_QUERIES_A_REQUEST = 256


def load(service: Service, name: str, rows: F32, *, first: int = 0) -> float:
    """Upsert float32 [N, D] as `first` …, wait for the graph; return the seconds."""
    started_s = time.perf_counter()
    for start in range(0, len(rows), _CHUNK_ROWS):
        while _waiting(service, name) > _MOST_WAITING:
            time.sleep(_POLL_S)
        part = np.asarray(rows[start : start + _CHUNK_ROWS])
        service.upsert(name, part, range(first + start, first + start + len(part)))
    written_s = time.perf_counter() - started_s
    return written_s + service.wait_indexed(name)


def self_misses(
    service: Service, name: str, rows: F32, *, counts: Callable[[int], bool] = lambda _: True
) -> tuple[int, int]:
    """Query with each row of float32 [N, D] that `counts`; return (misses, queries).

    Row i stands under id i and must be its own first hit.
    """
    misses = asked = 0
    for start in range(0, len(rows), _SELF_QUERIES_A_REQUEST):
        stop = min(start + _SELF_QUERIES_A_REQUEST, len(rows))
        ids = np.array([i for i in range(start, stop) if counts(i)], dtype=np.int64)
        if not len(ids):
            continue
        found = service.find(name, np.asarray(rows[ids]), 1, batch=len(ids))
        misses += int((found[:, 0] != ids).sum())
        asked += len(ids)
    if not asked:
        raise Missing("there is nothing to ask for")
    return misses, asked


def _waiting(service: Service, name: str) -> int:
    stats = service.describe(name).stats
    return int(stats.unindexed_vectors)
