"""query2.1 to query2.3 and query2.7: what a query costs on its way, besides the search.

Callers are processes of their own (`path_caller.py`). BEFORE names a checkout of an
earlier version with a virtual environment, which query2.7 is compared with: it serves a
copy of the same data, in turns with this one.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lookalike.v1 import search_pb2
from tests.bench.report import percentile
from tests.bench.search import h2load
from tests.bench.search.options import ROOT
from tests.bench.search.peers.environment import Missing
from tests.bench.search.run import NAME, Expected, Run
from tests.bench.search.service import Service, running, search_request

EXPECTED = (
    Expected("query2.1", "SDK with metadata ÷ (search + 1.5 x health check), p50", "ratio", "<= 1"),
    Expected("query2.2", "the same, p99 ÷ p50", "ratio", "<= 2"),
    Expected("query2.3", "SDK with metadata ÷ raw stub, batches of 64", "ratio", ">= 0.8"),
)
EXPECTED_BEFORE = (
    Expected("query2.7", "16 callers, one query a request ÷ before", "ratio", ">= 1.2"),
)

_CALLERS_OF_BATCHES = 3
_BATCH = 64
_CALLERS_OF_ONE = 16
_LIMIT = 10
_ROUNDS = 4
_CALLER = ROOT / "tests" / "bench" / "query" / "path_caller.py"


def measure(run: Run, service: Service) -> None:
    """Add query2.1 to query2.3."""
    seconds = run.options.seconds
    (alone,) = _callers(run, service, "one", 1, seconds, 1)
    p50 = {kind: percentile(taken, 50) for kind, taken in alone.items()}
    bound = p50["search"] + 1.5 * p50["health"]
    what = (
        f"one caller, SDK, k={_LIMIT} with metadata, p50 {p50['sdk']:.2f} ms ÷ (search itself "
        f"{p50['search']:.2f} + 1.5 x health check {p50['health']:.2f}); raw stub without "
        f"metadata {p50['raw']:.2f}"
    )
    run.report.at_most("query2.1", what, p50["sdk"] / bound, "ratio", 1)
    p99 = percentile(alone["sdk"], 99)
    what = f"the same, p99 {p99:.2f} ms ÷ p50"
    run.report.at_most("query2.2", what, p99 / p50["sdk"], "ratio", 2)
    rates: dict[str, list[float]] = {"sdk": [], "raw": []}
    for _ in range(_ROUNDS):
        for kind, found in rates.items():
            each = _callers(
                run, service, kind, _CALLERS_OF_BATCHES, seconds / (2 * _ROUNDS), _BATCH
            )
            found.append(sum(each))
    sdk, raw = (statistics.median(found) for found in rates.values())
    what = (
        f"{_CALLERS_OF_BATCHES} callers, {_BATCH} queries a request: SDK with metadata "
        f"{sdk:,.0f} queries/s ÷ raw stub without {raw:,.0f}"
    )
    run.report.at_least("query2.3", what, sdk / raw, "ratio", 0.8)


def compare(run: Run, service: Service, data: Path) -> None:
    """Add query2.7: what the SDK asks for, with metadata, and without, of both versions."""
    before = os.environ.get("BEFORE")
    if not before:
        raise Missing("name a checkout of an earlier version with a .venv: BEFORE=")
    with _earlier(Path(before), data) as other:
        for figure, metadata in (("query2.7", True), ("query2.7a", False)):
            rates: dict[str, list[float]] = {"now": [], "before": []}
            for turn in range(_ROUNDS):
                for which, asked in (("before", other), ("now", service)):
                    requests = _requests(run, turn, metadata=metadata, as_json=which == "now")
                    seconds = max(2, int(run.options.seconds / (2 * _ROUNDS)))
                    rates[which].append(h2load.requests_per_s(asked, [requests], seconds=seconds))
            now, then = (statistics.median(found) for found in rates.values())
            form = "with metadata, as the SDK asks for it" if metadata else "without metadata"
            what = (
                f"{_CALLERS_OF_ONE} callers, one query a request, {form}: {now:,.0f} queries/s ÷ "
                f"{then:,.0f} of the earlier version"
            )
            if metadata:
                run.report.at_least(figure, what, now / then, "ratio", 1.2)
            else:
                run.report.stated(figure, what, now / then, "ratio")


def _requests(
    run: Run, turn: int, *, metadata: bool, as_json: bool
) -> list[search_pb2.SearchRequest]:
    queries = run.dataset.queries
    first = turn * _CALLERS_OF_ONE
    places = [place % len(queries) for place in range(first, first + _CALLERS_OF_ONE)]
    requests = [search_request(NAME, queries[place][None], _LIMIT) for place in places]
    for request in requests:
        request.fields.metadata = metadata
        request.fields.metadata_as_json = metadata and as_json
    return requests


def _callers(
    run: Run, service: Service, kind: str, count: int, seconds: float, batch: int
) -> list[Any]:
    """Run callers at a time, each with queries of its own, and return what each says."""
    each = len(run.dataset.queries) // count
    callers = [
        subprocess.Popen(
            [
                sys.executable,
                str(_CALLER),
                kind,
                f"--port={service.port}",
                f"--collection={NAME}",
                f"--queries={run.dataset.queries_path}",
                f"--first={number * each}",
                f"--batch={batch}",
                f"--seconds={seconds}",
            ],
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(count)
    ]
    said = [caller.communicate()[0] for caller in callers]
    if any(caller.returncode for caller in callers):
        raise Missing("a caller failed")
    return [json.loads(text) for text in said]


@contextmanager
def _earlier(checkout: Path, data: Path) -> Iterator[Service]:
    copy = data.resolve().parent / f"{data.name}-before"  # read by a process elsewhere
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(data, copy, ignore=shutil.ignore_patterns("lock"))
    with running(copy, checkout=checkout) as service:
        yield service
