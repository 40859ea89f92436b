"""What a deletion by filter does to searches: `python -m tests.bench.query.delete_by_filter`.

A service is filled and indexed; half of its items, by chance, meet a filter. One caller
searches without pause, first alone, then while those are deleted, then again alone. A hit
is wrong if its item had been told as deleted before the search was sent. It needs a quiet
machine.
"""

from __future__ import annotations

import argparse
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lookalike.v1 import filter_pb2, search_pb2
from lookalike.wire.vectors import F32
from tests.bench.report import Report, percentile
from tests.bench.search.dataset import HardVectors
from tests.bench.search.options import ROOT
from tests.bench.search.service import Service, running, search_request, upsert_message

COLLECTION = "deletions"
EXPECTED = ("query2.9", "query2.9.wrong", "query2.9.rate")
_ITEMS_A_MESSAGE = 500
_LIMIT = 10
_QUERIES = 500
_OLD = filter_pb2.Filter(expression="old = true")
_COLOURS = ("black", "white", "red", "blue", "green")


@dataclass(slots=True)
class _Searches:
    """Milliseconds of each search, and hits that should not have been there."""

    taken_ms: list[float]
    wrong: int = 0

    @property
    def p99_ms(self) -> float:
        return percentile(self.taken_ms, 99)


def measure(report: Report, work: Path, *, count: int, dimension: int, seconds: float) -> None:
    """Add the rows of `EXPECTED`; everything below `work` is removed."""
    data = work / "delete-by-filter-data"
    shutil.rmtree(data, ignore_errors=True)
    vectors = HardVectors(dimension)
    old = np.flatnonzero(np.random.default_rng(9).random(count) < 0.5)
    places = {str(key): place for place, key in enumerate(old.tolist())}
    try:
        with running(data) as service:
            service.create(COLLECTION, dimension)
            _load(service, vectors, count, places)
            service.wait_indexed(COLLECTION)
            told = _Deletion(service)
            idle = _search(service, vectors, places, lambda: 0, _for(seconds))
            began_s = time.perf_counter()
            told.start()
            during = _search(service, vectors, places, lambda: told.deleted, told.running)
            took_s = time.perf_counter() - began_s
            told.join()
            after = _search(service, vectors, places, lambda: told.deleted, _for(seconds))
    finally:
        shutil.rmtree(data, ignore_errors=True)
    what = f"{told.deleted:,} of {count:,} deleted by filter while one caller searches"
    report.at_most(
        "query2.9",
        f"{what}: p99 ÷ idle ({during.p99_ms:.2f} ms, {idle.p99_ms:.2f} ms; p50 "
        f"{percentile(during.taken_ms, 50):.2f} ms, {percentile(idle.taken_ms, 50):.2f} ms; "
        f"p99 afterwards {after.p99_ms:.2f} ms; {len(during.taken_ms):,} searches)",
        during.p99_ms / idle.p99_ms,
        "x",
        2.0,
    )
    report.equals(
        "query2.9.wrong",
        f"{what}: hits that were told as deleted before the search, of "
        f"{_LIMIT * (len(during.taken_ms) + len(after.taken_ms)):,}",
        during.wrong + after.wrong,
        "hits",
        0,
    )
    report.stated("query2.9.rate", f"{what}: items a second", told.deleted / took_s, "items/s")


class _Deletion(threading.Thread):
    """Deletes what is old; `deleted` so far."""

    def __init__(self, service: Service) -> None:
        super().__init__()
        self._service = service
        self.deleted = 0

    def run(self) -> None:
        request = search_pb2.DeleteByFilterRequest(collection=COLLECTION, filter=_OLD)
        for message in self._service.search.DeleteByFilter(request):
            self.deleted = message.deleted

    def running(self) -> bool:
        """Whether it goes on."""
        return self.is_alive()


def _for(seconds: float) -> Callable[[], bool]:
    until_s = time.perf_counter() + seconds
    return lambda: time.perf_counter() < until_s


def _search(
    service: Service,
    vectors: HardVectors,
    places: dict[str, int],
    deleted: Callable[[], int],
    goes_on: Callable[[], bool],
) -> _Searches:
    """Search one query after the other; old items are deleted in the order of their places."""
    requests = [
        search_request(COLLECTION, query[None], _LIMIT) for query in vectors.queries(_QUERIES)
    ]
    found = _Searches([])
    while goes_on():
        gone = deleted()
        began_s = time.perf_counter()
        answer = service.search.Search(requests[len(found.taken_ms) % len(requests)])
        found.taken_ms.append((time.perf_counter() - began_s) * 1e3)
        found.wrong += sum(places.get(hit.id, gone) < gone for hit in answer.results[0].hits)
    return found


def _load(service: Service, vectors: HardVectors, count: int, places: dict[str, int]) -> None:
    def messages() -> Iterator[search_pb2.UpsertVectorsRequest]:
        for start, rows in vectors.batches(count):
            for first in range(0, len(rows), _ITEMS_A_MESSAGE):
                yield _message(rows[first : first + _ITEMS_A_MESSAGE], start + first, places)

    for answer in service.search.UpsertVectors(messages()):
        bad = [each for each in answer.results if each.status != 1]
        if bad:
            raise SystemExit(f"an item was not stored: {bad[0]}")


def _message(rows: F32, first: int, places: dict[str, int]) -> search_pb2.UpsertVectorsRequest:
    message = upsert_message(COLLECTION, rows, range(first, first + len(rows)))
    for number, item in enumerate(message.items, first):
        item.metadata.update(
            {
                "old": item.id in places,
                "colour": _COLOURS[number % len(_COLOURS)],
                "price": number % 1_000 / 10,
                "shop": f"shop {number % 300}",
                "camera": {"iso": 100 * (number % 7), "model": f"m{number % 20}"},
            }
        )
    return message


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=200_000)
    parser.add_argument("--dimension", type=int, default=512)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--suite", default="query")
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "bench" / "work")
    flags = parser.parse_args()
    report = Report(flags.suite, f"delete_by_filter.py --count {flags.count}")
    flags.work.mkdir(parents=True, exist_ok=True)
    measure(report, flags.work, count=flags.count, dimension=flags.dimension, seconds=flags.seconds)
    report.print_table()


if __name__ == "__main__":
    main()
