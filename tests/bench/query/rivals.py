"""query.4: filtered queries a second at equal recall, against vector databases.

Each database is filled by a process of its own, which takes minutes; `--only
4.peers --peers NAME` measures one of them by itself, beside the rows that are there.
"""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import numpy as np

from lookalike.v1 import filter_pb2
from lookalike.wire.vectors import F32
from tests.bench.query.filtered import LIMIT, Filtered
from tests.bench.query.peer_driver import STEP, stand
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
_TIMEOUT_S = 1_500.0
# Time to stop its server and remove its files, when it is ended.
_END_S = 30.0

Standing = list[dict[str, float]]


def measure(run: Run, service: Service, items: Filtered) -> None:
    """Add the row of Lookalike; one caller, one query a call."""

    def find(query: F32, bound: float, count: int, expansion: int) -> list[int]:
        request = search_request(NAME, query[None], count, expansion=expansion)
        request.filter.CopyFrom(filter_pb2.Filter(expression=f"free < {bound!r}"))
        return [int(hit.id) for hit in service.search.Search(request).results[0].hits]

    queries = run.dataset.queries[:_QUERIES]
    ours = [
        stand(find, queries, bound, _truth(items, queries, bound), TARGET_RECALL, _seconds(run))
        for bound in BOUNDS
    ]
    _state(run, "lookalike", ours)


def measure_peers(run: Run, items: Filtered) -> None:
    """Add a row for each database that was asked for."""
    queries = run.dataset.queries[:_QUERIES]
    truths = [_truth(items, queries, bound) for bound in BOUNDS]
    for name in run.options.peers:
        if name not in _DATABASES:
            continue
        try:
            standing = _ask(run, items, name, queries, truths, _seconds(run))
        except (Missing, OSError, ValueError) as error:
            run.report.missing(f"query.4.{name}", name, "queries/s", "stated", reason=str(error))
        else:
            _state(run, name, standing)


def compare(run: Run) -> None:
    """Add query.4 from the rows of this run, and of earlier ones over the same vectors."""
    rates = {
        str(row["id"]).removeprefix("query.4."): float(row["value"])
        for row in json.loads(run.report.path.read_text())
        if str(row["id"]).startswith("query.4.")
        and row["value"] is not None
        and row["command"] == run.options.command
    }
    ours = rates.pop("lookalike", None)
    if ours is None or not rates:
        raise Missing("Lookalike or every database is not measured")
    best = max(rates, key=lambda name: rates[name])
    others = ", ".join(name for name in _DATABASES if name not in rates)
    what = (
        f"filters that keep {', '.join(f'{bound:g}' for bound in BOUNDS)} of the items, one "
        f"caller, recall@10 ≥ {TARGET_RECALL}, geometric mean of queries/s: "
        f"{ours:,.0f} ÷ {best} {rates[best]:,.0f}" + (f"; without {others}" if others else "")
    )
    run.report.at_least("query.4", what, ours / rates[best], "ratio", 2)


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
    return _run_driver(name, json.dumps(request), work / "log")


def _run_driver(name: str, request: str, log: Path) -> Standing:
    """Run the driver; its process group ends with it, a server of its own included."""
    with log.open("w+") as errors:
        process = subprocess.Popen(
            [str(python_of(_DATABASES[name])), "-m", "tests.bench.query.peer_driver", name],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
        )
        try:
            answer, _ = process.communicate(request, timeout=_TIMEOUT_S)
        except subprocess.TimeoutExpired as error:
            raise Missing(
                f"{name} did not complete within {_TIMEOUT_S:,.0f} s; it was at: {_step(log)}"
            ) from error
        finally:
            _end(process)
        if process.returncode:
            raise Missing((log.read_text().strip().splitlines() or ["it said nothing"])[-1])
    standing: Standing = json.loads(answer.strip().splitlines()[-1])
    return standing


def _end(process: subprocess.Popen[str]) -> None:
    with suppress(subprocess.TimeoutExpired):
        process.send_signal(signal.SIGTERM)
        process.wait(_END_S)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # what it left behind
    process.wait()


def _step(log: Path) -> str:
    steps = [line for line in log.read_text().splitlines() if line.startswith(STEP)]
    return steps[-1].removeprefix(STEP) if steps else "the start"


def _seconds(run: Run) -> float:
    return max(2.0, run.options.seconds / 3)


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
