"""query2.8: preset `lean` beside the default: `python -m tests.bench.query.lean`.

Both are filled with the same vectors, stopped and started again, so that nothing of the
load is left. What counts of an item is the memory that is the process's own (RssAnon of
/proc), less that of a service whose collection is empty: files that are mapped can be
taken from it at any time. For queries with a cold page cache, the system is told to forget
the files of rows before each of them; what the process itself has touched stays.
"""

from __future__ import annotations

import argparse
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lookalike.v1 import collection_pb2
from lookalike.wire.vectors import F32
from tests.bench.report import Report, percentile
from tests.bench.search.dataset import HardVectors
from tests.bench.search.loading import load
from tests.bench.search.options import ROOT
from tests.bench.search.peers.environment import Missing
from tests.bench.search.run import DEFAULT_HEAD_LIMIT, Expected
from tests.bench.search.service import Service, running, search_request
from tests.bench.search.vectors import I64, nearest, recall

COLLECTION = "lean"
EXPECTED = (
    Expected("query2.8", "resident bytes an item, lean ÷ balanced", "ratio", "<= 0.5"),
    Expected("query2.8.recall", "lean, recall@100", "share", ">= 0.95"),
    Expected("query2.8.p99", "lean, p99 with a warm and a cold page cache", "ms", "stated"),
)
_PRESETS = {
    "balanced": collection_pb2.INDEX_PRESET_BALANCED,
    "lean": collection_pb2.INDEX_PRESET_LEAN,
}
_QUERIES = 500
# Each is cold once: later ones find rows that earlier ones have read.
_COLD_QUERIES = 200
_SETTLE_S = 2.0
_QUIET_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class _Measured:
    bytes_an_item: float
    mapped_bytes_an_item: float
    recall_at_10: float
    recall_at_100: float
    warm_ms: list[float]
    cold_ms: list[float]
    cold_read_bytes: float


def measure(
    report: Report, work: Path, *, count: int, dimension: int, queries: int, seconds: float
) -> None:
    """Add the rows of `EXPECTED`; everything below `work` is removed."""
    source = HardVectors(dimension)
    rows_path = work / "lean-vectors.npy"
    work.mkdir(parents=True, exist_ok=True)
    source.write_npy(rows_path, count)
    rows: F32 = np.load(rows_path, mmap_mode="r")
    asked = source.queries(queries)
    truth = nearest(rows, asked, 100)
    done: dict[str, _Measured] = {}
    try:
        for preset in _PRESETS:
            done[preset] = _measure(work / "lean-data", preset, rows, asked, truth, seconds)
            print(f"  {preset}: {_said(done[preset])}", flush=True)
    finally:
        shutil.rmtree(work / "lean-data", ignore_errors=True)
        rows_path.unlink()
    lean, balanced = done["lean"], done["balanced"]
    size = f"{count:,} x {dimension}"
    report.at_most(
        "query2.8",
        f"{size}, no metadata: {lean.bytes_an_item:.0f} bytes an item of the process's own "
        f"memory ÷ {balanced.bytes_an_item:.0f} of balanced",
        lean.bytes_an_item / balanced.bytes_an_item,
        "ratio",
        0.5,
    )
    report.at_least(
        "query2.8.recall",
        f"{size}, lean, recall@100 after re-ranking, preset's expansion (recall@10 "
        f"{lean.recall_at_10:.4f}; balanced {balanced.recall_at_100:.4f}, "
        f"{balanced.recall_at_10:.4f})",
        lean.recall_at_100,
        "share",
        0.95,
    )
    report.stated(
        "query2.8.p99",
        f"{size}, one caller, k=10, p50 and p99 in ms; cold: the page cache forgets the rows "
        f"before each query, which then reads {lean.cold_read_bytes / 1024:,.0f} KiB of the disk",
        {name: _said(each) for name, each in done.items()},
        "ms",
    )


def _measure(
    data: Path, preset: str, rows: F32, asked: F32, truth: I64, seconds: float
) -> _Measured:
    shutil.rmtree(data, ignore_errors=True)
    limit = min(DEFAULT_HEAD_LIMIT, max(1, len(rows) // 4))
    settings = collection_pb2.IndexSettings(preset=_PRESETS[preset])
    with running(data, f"--head-limit={limit}") as service:
        service.create(COLLECTION, rows.shape[1], settings)
    with running(data, f"--head-limit={limit}") as service:
        service.find(COLLECTION, asked, 100)
        empty = _own(service)
        load(service, COLLECTION, rows)
    with running(data, f"--head-limit={limit}") as service:
        service.wait_indexed(COLLECTION)
        _wait_quiet(service)
        cold, read = _cold(service, data, asked)
        ten = recall(service.find(COLLECTION, asked, 10), truth, 10)
        hundred = recall(service.find(COLLECTION, asked, 100), truth, 100)
        own, mapped = _own(service), _status(service, "RssFile")
        warm = service.latencies_ms(COLLECTION, asked, 10, seconds=seconds)
    count = len(rows)
    return _Measured((own - empty) / count, mapped / count, ten, hundred, warm, cold, read)


def _cold(service: Service, data: Path, asked: F32) -> tuple[list[float], float]:
    """Return the ms of each query with cold rows, and the bytes that one read of the disk."""
    files = sorted(data.rglob("rows-*.f32"))
    if not files:
        raise Missing("there is no segment")
    os.sync()  # what is not written yet cannot be forgotten
    taken: list[float] = []
    before = _read_bytes(service)
    for query in asked[:_COLD_QUERIES]:
        for path in files:
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            finally:
                os.close(descriptor)
        request = search_request(COLLECTION, query[None], 10)
        started_s = time.perf_counter()
        service.search.Search(request)
        taken.append((time.perf_counter() - started_s) * 1e3)
    return taken, (_read_bytes(service) - before) / len(taken)


def _wait_quiet(service: Service) -> None:
    """Wait until rows have been checked in the background: that takes a core by then."""
    while True:
        before_s = _cpu_s(service)
        time.sleep(_SETTLE_S)
        if _cpu_s(service) - before_s < _QUIET_SHARE * _SETTLE_S:
            return


def _cpu_s(service: Service) -> float:
    fields = Path(f"/proc/{service.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _own(service: Service) -> int:
    return _status(service, "RssAnon")


def _status(service: Service, field: str) -> int:
    for line in Path(f"/proc/{service.pid}/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise Missing(f"the process has no {field}: it has ended")


def _read_bytes(service: Service) -> int:
    for line in Path(f"/proc/{service.pid}/io").read_text().splitlines():
        if line.startswith("read_bytes:"):
            return int(line.split()[1])
    raise Missing("the system does not say what a process reads")


def _said(each: _Measured) -> dict[str, float]:
    return {
        "bytes_an_item": round(each.bytes_an_item),
        "mapped_bytes_an_item": round(each.mapped_bytes_an_item),
        "recall_at_10": round(each.recall_at_10, 4),
        "recall_at_100": round(each.recall_at_100, 4),
        "warm_p50": round(percentile(each.warm_ms, 50), 2),
        "warm_p99": round(percentile(each.warm_ms, 99), 2),
        "cold_p50": round(percentile(each.cold_ms, 50), 2),
        "cold_p99": round(percentile(each.cold_ms, 99), 2),
    }


def main() -> None:
    """Measure at the size that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--dimension", type=int, default=512)
    parser.add_argument("--queries", type=int, default=_QUERIES)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "bench" / "work")
    flags = parser.parse_args()
    command = f"make bench-query N={flags.count} D={flags.dimension} ONLY=2.8"
    report = Report("query", command)
    try:
        measure(
            report,
            flags.work,
            count=flags.count,
            dimension=flags.dimension,
            queries=flags.queries,
            seconds=flags.seconds,
        )
    except (Missing, OSError) as error:
        for row in EXPECTED:
            report.missing(row.id, row.what, row.unit, row.target, reason=str(error))
    report.print_table()


if __name__ == "__main__":
    main()
