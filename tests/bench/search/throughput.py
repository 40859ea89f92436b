"""search.2: queries a second over gRPC against the same graph searched by raw usearch."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np

from lookalike.wire.vectors import F32
from search_service.shard.search.tuning import OVERFETCH, OVERFETCH_MORE
from tests.bench.search import h2load
from tests.bench.search.ceiling import Ceiling
from tests.bench.search.peers.environment import Missing
from tests.bench.search.run import NAME, Expected, Run
from tests.bench.search.service import Service, search_request
from tests.bench.search.vectors import recall

EXPECTED = (
    Expected("search.2a", "64 queries a request ÷ raw usearch, same graph", "ratio", ">= 0.85"),
    Expected("search.2b", "one query a request, 16 callers ÷ raw usearch", "ratio", ">= 0.5"),
)

_COUNT = 10
# What the service asks its graph for, to re-rank, when everything in it lives.
_FETCH = int(_COUNT * OVERFETCH) + OVERFETCH_MORE
_CALLERS_OF_BATCHES = 4
_CALLERS_OF_ONE = 16
_BATCH = 64
_ROUND_S = 4
_LEAST_ROUNDS = 2


def measure(run: Run, service: Service, data: Path) -> None:
    """Add search.2a and search.2b."""
    queries = run.dataset.queries
    expansion = _expansion(service, queries)
    ceiling = Ceiling.of(data, queries.shape[1])
    found = recall(service.find(NAME, queries, _COUNT), run.dataset.truth, _COUNT)
    rounds = max(_LEAST_ROUNDS, int(run.options.seconds / _ROUND_S))
    for figure, callers, batch, target in (
        ("search.2a", _CALLERS_OF_BATCHES, _BATCH, 0.85),
        ("search.2b", _CALLERS_OF_ONE, 1, 0.5),
    ):
        parts = _parts(queries, rounds, callers, batch)
        requests = [[search_request(NAME, part, _COUNT) for part in of] for of in parts]
        rate = h2load.requests_per_s(service, requests, seconds=_ROUND_S) * batch
        # Raw usearch repeats the same queries, so both have the same luck with caches.
        raw = np.mean(
            [
                ceiling.queries_per_s(
                    np.concatenate(of),
                    fetch=_FETCH,
                    expansion=expansion,
                    seconds=_ROUND_S / 2,
                )
                for of in parts[:_LEAST_ROUNDS]
            ]
        )
        what = (
            f"h2load, {callers} callers with {batch} queries a request, {rounds} rounds of "
            f"{callers * batch} queries that repeat: {rate:,.0f} queries/s; raw usearch, all "
            f"threads, same graph, queries, expansion {expansion} and {_FETCH} "
            f"candidates, without re-ranking: {raw:,.0f}; recall@10 {found:.4f} (default preset)"
        )
        run.report.at_least(figure, what, rate / float(raw), "ratio", target)


def _expansion(service: Service, queries: F32) -> int:
    """Return the expansion that the service searches its graph with."""
    request = search_request(NAME, queries[:1], _COUNT)
    request.explain = True
    expansion = service.search.Search(request).results[0].plan.expansion_search
    if not expansion:
        raise Missing("the service scanned everything: there is no graph to compare with")
    return int(expansion)


def _parts(queries: F32, rounds: int, callers: int, batch: int) -> list[list[F32]]:
    """Cut the queries into requests, over and over: [rounds][callers] float32 [batch, D]."""
    starts = itertools.cycle(range(0, max(1, len(queries) - batch + 1), batch))
    return [
        [queries[start : start + batch] for start in itertools.islice(starts, callers)]
        for _ in range(rounds)
    ]
