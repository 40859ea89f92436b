"""query.4: filtered queries a second at equal recall, against vector databases."""

from __future__ import annotations

import json
import math
import subprocess
from pathlib import Path

import numpy as np

from lookalike.v1 import filter_pb2
from lookalike.wire.vectors import F32
from tests.bench.query.filtered import LIMIT, Filtered
from tests.bench.query.peer_driver import stand
from tests.bench.search.options import ROOT
from tests.bench.search.peers.environment import Missing, python_of
from tests.bench.search.run import NAME, TARGET_RECALL, Expected, Run
from tests.bench.search.service import Service, search_request

EXPECTED = (
    Expected("query.4", "filtered queries/s at equal recall ÷ the best database", "ratio", ">= 2"),
)
BOUNDS = (0.01, 0.1, 0.5)
_DATABASES = {"chroma": "peers", "lancedb": "peers", "milvus": "milvus"}
_QUERIES = 100
_TIMEOUT_S = 7_200.0

Standing = list[dict[str, float]]


def measure(run: Run, service: Service, items: Filtered) -> None:
    """Add query.4 and a row for each database; one caller, one query a call."""
    queries = run.dataset.queries[:_QUERIES]
    truths = [_truth(items, queries, bound) for bound in BOUNDS]
    seconds = max(2.0, run.options.seconds / 3)

    def find(query: F32, bound: float, count: int, expansion: int) -> list[int]:
        request = search_request(NAME, query[None], count, expansion=expansion)
        request.filter.CopyFrom(filter_pb2.Filter(expression=f"free < {bound!r}"))
        return [int(hit.id) for hit in service.search.Search(request).results[0].hits]

    ours = [
        stand(find, queries, bound, truth, TARGET_RECALL, seconds)
        for bound, truth in zip(BOUNDS, truths, strict=True)
    ]
    _state(run, "lookalike", ours)
    rates: dict[str, float] = {}
    for name in run.options.peers:
        if name not in _DATABASES:
            continue
        try:
            standing = _ask(run, items, name, queries, truths, seconds)
        except (Missing, OSError, ValueError) as error:
            run.report.missing(f"query.4.{name}", name, "queries/s", "stated", reason=str(error))
            continue
        _state(run, name, standing)
        rates[name] = _mean_rate(standing)
    if not rates:
        raise Missing("no database could be measured")
    best = max(rates, key=lambda name: rates[name])
    what = (
        f"filters that keep {', '.join(f'{bound:g}' for bound in BOUNDS)} of the items, one "
        f"caller, recall@10 ≥ {TARGET_RECALL}, geometric mean of queries/s: "
        f"{_mean_rate(ours):,.0f} ÷ {best} {rates[best]:,.0f}"
    )
    run.report.at_least("query.4", what, _mean_rate(ours) / rates[best], "ratio", 2)


def _ask(
    run: Run,
    items: Filtered,
    name: str,
    queries: F32,
    truths: list[np.ndarray[tuple[int, ...], np.dtype[np.int64]]],
    seconds: float,
) -> Standing:
    work = run.directory("filtered-peers")
    np.save(work / "values.npy", items.free)
    np.save(work / "queries.npy", queries)
    paths: list[Path] = []
    for number, truth in enumerate(truths):
        paths.append(work / f"truth{number}.npy")
        np.save(paths[-1], truth)
    request = {
        "vectors": str(run.dataset.base_path),
        "values": str(work / "values.npy"),
        "queries": str(work / "queries.npy"),
        "truths": [str(path) for path in paths],
        "bounds": BOUNDS,
        "recall": TARGET_RECALL,
        "seconds": seconds,
    }
    done = subprocess.run(
        [str(python_of(_DATABASES[name])), "-m", "tests.bench.query.peer_driver", name],
        cwd=ROOT,
        input=json.dumps(request),
        capture_output=True,
        text=True,
        check=False,
        timeout=_TIMEOUT_S,
    )
    if done.returncode:
        raise Missing((done.stderr.strip().splitlines() or ["it said nothing"])[-1])
    standing: Standing = json.loads(done.stdout.strip().splitlines()[-1])
    return standing


def _truth(
    items: Filtered, queries: F32, bound: float
) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    rows = np.flatnonzero(items.free < bound)
    if len(rows) < LIMIT:
        raise Missing(f"fewer than {LIMIT} items meet the narrowest filter: take more vectors")
    scores = queries @ items.dataset.base[rows].T
    return rows[np.argsort(-scores, axis=1)[:, :LIMIT]].astype(np.int64)


def _mean_rate(standing: Standing) -> float:
    return math.exp(sum(math.log(each["queries_per_s"]) for each in standing) / len(standing))


def _state(run: Run, name: str, standing: Standing) -> None:
    parts = "; ".join(
        f"{bound:g}: {each['queries_per_s']:,.0f}/s at recall {each['recall']:.4f}, "
        f"expansion {each['expansion']}"
        for bound, each in zip(BOUNDS, standing, strict=True)
    )
    run.report.stated(
        f"query.4.{name}", f"{name}, share kept: {parts}", _mean_rate(standing), "queries/s"
    )
