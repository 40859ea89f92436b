"""search.4 and search.8: what searching and writing do to each other."""

from __future__ import annotations

from tests.bench.report import percentile
from tests.bench.search import writer
from tests.bench.search.run import NAME, Expected, Run
from tests.bench.search.service import Service

STREAMING = (
    Expected("search.4a", "p99 while 500 vectors/s stream in ÷ idle p99", "ratio", "<= 2"),
    Expected("search.4b", "acknowledged vectors not found at once", "vectors", "= 0"),
)
UPSERTS = (
    Expected("search.8a", "durable upserts/s over gRPC, builder running", "upserts/s", ">= 5000"),
    Expected("search.8b", "minutes until the backlog is indexed", "minutes", "<= 10"),
    Expected("search.8c", "search p99 meanwhile", "ms", "stated"),
)

_COUNT = 10
_RATE_PER_S = 500
_ITEMS_A_STREAMED_MESSAGE = 20
# Small messages would measure the cost of a message; 250 items are half a megabyte.
_ITEMS_A_MESSAGE = 250
_STREAMS = 2
# No more can be written than this: about what SQLite alone takes in such groups.
_MOST_PER_S = 16_000


def stream(run: Run, service: Service) -> None:
    """Add search.4a and search.4b; leaves new items in the collection."""
    queries, seconds = run.dataset.queries, 2 * run.options.seconds
    idle = service.latencies_ms(NAME, queries, _COUNT, seconds=run.options.seconds)
    first = run.options.count
    job = _job(run, service, first, int(_RATE_PER_S * seconds), seconds)
    process = writer.start(job)
    writer.ready(process)
    busy = service.latencies_ms(NAME, queries, _COUNT, seconds=seconds)
    written = writer.finish(process)
    before, during = percentile(idle, 99), percentile(busy, 99)
    what = (
        f"one caller, k={_COUNT}: p99 {during:.2f} ms (p50 {percentile(busy, 50):.2f}) while "
        f"{written.acknowledged / written.seconds:,.0f} vectors/s were acknowledged, ÷ "
        f"{before:.2f} ms idle (p50 {percentile(idle, 50):.2f})"
    )
    run.report.at_most("search.4a", what, during / before, "ratio", 2)
    _check(run, service, first + int(_RATE_PER_S * seconds))


def upsert(run: Run, service: Service) -> None:
    """Add search.8a to search.8c; leaves many new items in the collection."""
    seconds = run.options.upsert_seconds
    each = int(_MOST_PER_S * seconds / _STREAMS)
    first = 10_000_000
    processes = []
    for stream_number in range(_STREAMS):
        start = first + stream_number * each
        rows = run.dataset.source.rows(start, start + each)
        path = writer.save_rows(run.options.work / f"upserts-{stream_number}.npy", rows)
        processes.append(
            writer.start(
                writer.Job(service.port, NAME, path, start, _ITEMS_A_MESSAGE, 0.0, seconds)
            )
        )
    builds_before = service.describe(NAME).stats.builds
    for process in processes:
        writer.ready(process)
    busy = service.latencies_ms(NAME, run.dataset.queries, _COUNT, seconds=seconds)
    written = [writer.finish(process) for process in processes]
    stats = service.describe(NAME).stats
    acknowledged = sum(one.acknowledged for one in written)
    rate = acknowledged / max(one.seconds for one in written)
    what = (
        f"{_STREAMS} streams of {_ITEMS_A_MESSAGE} vectors a message for {seconds:.0f} s: "
        f"{acknowledged:,} acknowledged, {sum(one.refused for one in written):,} refused, "
        f"{stats.builds - builds_before} builds ended meanwhile, "
        f"{'one' if stats.building else 'none'} running at the end"
    )
    run.report.at_least("search.8a", what, rate, "upserts/s", 5_000)
    what = f"one caller, k={_COUNT}, while they were written"
    run.report.stated("search.8c", what, percentile(busy, 99), "ms")
    minutes = service.wait_indexed(NAME) / 60
    run.report.at_most("search.8b", "after the last one", minutes, "minutes", 10)


def _check(run: Run, service: Service, first: int) -> None:
    seconds = run.options.seconds
    job = _job(run, service, first, int(_RATE_PER_S * seconds), seconds, check=True)
    process = writer.start(job)
    writer.ready(process)
    written = writer.finish(process)
    what = (
        f"{written.acknowledged:,} vectors at {written.acknowledged / written.seconds:,.0f}/s, "
        f"each queried as soon as its acknowledgement came; own id not the first hit"
    )
    run.report.equals("search.4b", what, written.not_found, "vectors", 0)


def _job(
    run: Run, service: Service, first: int, count: int, seconds: float, *, check: bool = False
) -> writer.Job:
    rows = run.dataset.source.rows(first, first + count)
    path = writer.save_rows(run.options.work / "streamed.npy", rows)
    return writer.Job(
        service.port,
        NAME,
        path,
        first,
        _ITEMS_A_STREAMED_MESSAGE,
        _RATE_PER_S,
        seconds,
        check,
    )
