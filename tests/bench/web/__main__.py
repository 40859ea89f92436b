"""`python -m tests.bench.web`: first results, ten thousand of them, a review of a thousand groups.

N=items besides those of the groups, PAIRS=groups of the review, of two items each.
"""

from __future__ import annotations

import argparse
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from lookalike.wire.vectors import F32
from lookalike_client import Client, ImageFacts, VectorItem
from tests.bench.report import Report, percentile
from tests.bench.search.options import ROOT
from tests.bench.search.peers.environment import Missing
from tests.bench.search.run import DEFAULT_HEAD_LIMIT
from tests.bench.search.service import running
from tests.bench.web.caller import Caller, page_of

NAME = "page"
_DIMENSION = 512
_FIRST = 60
_NEXT = 200
_SEARCHES = 200
_RESULTS = 10_000
_THRESHOLD = 0.9


@dataclass
class Times:
    """Times of requests in milliseconds, and the server's memory at both ends."""

    ms: list[float] = field(default_factory=list)
    before_mb: float = 0.0
    after_mb: float = 0.0

    def take(self, caller: Caller, path: str, body: object | None = None) -> dict[str, object]:
        """Make one request and note how long it took."""
        started_s = time.monotonic()
        answer = caller.get(path) if body is None else caller.post(path, body)
        self.ms.append((time.monotonic() - started_s) * 1e3)
        return answer

    @property
    def p95(self) -> float:
        return percentile(self.ms, 95)


def main() -> None:
    """Measure; each figure becomes a row."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.web")
    parser.add_argument("--n", type=int, default=int(os.environ.get("N") or 100_000))
    parser.add_argument("--groups", type=int, default=int(os.environ.get("PAIRS") or 1_000))
    options = parser.parse_args()
    report = Report("web", f"make bench-web N={options.n} PAIRS={options.groups}")
    work = ROOT / "build" / "bench" / "work" / "web"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    head = min(DEFAULT_HEAD_LIMIT, max(1, options.n // 4))  # small sets have a graph, too
    with running(work / "service", f"--head-limit={head}") as service:
        address = f"127.0.0.1:{service.port}"
        with Client(address) as client:
            client.collections.create(NAME, model=None, dimension=_DIMENSION)
            stored = client.upsert_vectors(NAME, _items(options.n, options.groups))
            assert all(each.error is None for each in stored)
        try:
            service.wait_indexed(NAME)
        except Missing as error:
            print(f"  {error}", flush=True)
        with page_of(address, work) as caller:
            _searches(report, caller, options.n)
            _results(report, caller)
            _review(report, caller, options.groups)
    report.print_table()


def _searches(report: Report, caller: Caller, count: int) -> None:
    times = Times()
    chance = np.random.default_rng(1)
    for number in [0, 1, 2, *chance.integers(count, size=_SEARCHES)]:
        times.take(caller, "search", _asked(f"{number:07}", _FIRST))
    times.ms = times.ms[3:]
    what = f"first {_FIRST} results for a stored id among {count:,}, over HTTP"
    report.at_most("web.1", f"p95 of {what}", times.p95, "ms", 200)
    report.stated("web.1.p50", f"median of {what}", percentile(times.ms, 50), "ms")


def _results(report: Report, caller: Caller) -> None:
    times, token, seen = Times(), "", 0
    while seen < _RESULTS:
        asked = {**_asked("0000000", _NEXT), "page_token": token}
        answer = times.take(caller, "search", asked)
        hits, token = answer["hits"], str(answer["next_page_token"])
        assert isinstance(hits, list)
        seen += len(hits)
        if not token:
            break
    what = f"p95 of a page of {_NEXT} on the way to {seen:,} results"
    report.at_most("web.2", what, times.p95, "ms", 300)


def _review(report: Report, caller: Caller, groups: int) -> None:
    begun = time.monotonic()
    caller.post("review/start", {"collection": NAME, "threshold": _THRESHOLD})
    while (said := caller.get(f"review?collection={NAME}"))["state"] == "running":
        time.sleep(0.2)
    report.stated("web.3", "duplicates found, for a review", time.monotonic() - begun, "s")
    task = str(said["task"])
    progress = said["review"]
    assert isinstance(progress, dict)
    found = int(progress["groups"])
    report.equals("web.3.groups", "groups of the review", found, "groups", groups)
    times = Times(before_mb=caller.memory_mb())
    for number in range(found):
        answer = times.take(caller, f"review/groups?review={task}&first={number}")
        shown = answer["groups"]
        assert isinstance(shown, list)
        keeper, *others = shown[0]["members"]
        decisions = [
            {"id": keeper["id"], "other_id": each["id"], "verdict": "duplicate"} for each in others
        ]
        times.take(caller, "review/decide", {"review": task, "decisions": decisions})
        if number % 50 == 0:
            times.take(caller, f"review/leaving?review={task}")
    times.after_mb = caller.memory_mb()
    what = f"requests of a review of {found:,} groups"
    report.at_most("web.4", f"p95 of {what}", times.p95, "ms", 300)
    report.stated("web.4.most", f"longest of {what}", max(times.ms), "ms")
    growth = times.after_mb - times.before_mb
    report.at_most("web.5", f"memory that the server gained in {what}", growth, "MB", 20)
    report.stated("web.5.rss", "memory of the server after them", times.after_mb, "MB")


def _asked(id: str, limit: int) -> dict[str, object]:
    return {"collection": NAME, "positives": [{"id": id}], "limit": limit}


def _items(count: int, groups: int) -> Iterator[VectorItem]:
    """Yield items that are far from one another, and then groups of two that are near."""
    chance = np.random.default_rng(0)
    for start in range(0, count, 1_000):
        rows = _unit(chance.normal(size=(min(1_000, count - start), _DIMENSION)))
        for place, row in enumerate(rows, start):
            yield VectorItem(f"{place:07}", row, {"n": place}, facts=_facts(place))
    for number in range(groups):
        one = chance.normal(size=(1, _DIMENSION))
        two = one + 0.2 * chance.normal(size=(1, _DIMENSION))
        for name, row in (("a", one), ("b", two)):
            yield VectorItem(f"g{number:06}{name}", _unit(row)[0], facts=_facts(number))


def _unit(rows: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> F32:
    unit: F32 = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return unit


def _facts(number: int) -> ImageFacts:
    """Facts with a grey picture's and a thumbnail's bytes; nothing here looks at them."""
    sha = f"{number:064x}"
    return ImageFacts(640, 480, 90_000 + number, sha, "0" * 16, 100.0, "JPEG", b"t" * 5_000)


if __name__ == "__main__":
    main()
