"""`python -m tests.bench.search_million`: one million vectors through the service itself.

`ONLY=1c` (or others, but 1d and 1e) searches what an earlier run left.
"""

from __future__ import annotations

import sys
import time

from tests.bench.report import Report, percentile
from tests.bench.search.loading import load
from tests.bench.search.options import parse
from tests.bench.search.peers.environment import Missing
from tests.bench.search.run import NAME, Expected, Run, attempt, end_in_order
from tests.bench.search.service import Service, disk_use
from tests.bench.search.vectors import I64, prepare, recall

EXPECTED = (
    Expected("search.1a", "recall@100, default preset", "recall", ">= 0.95"),
    Expected("search.1b", "recall@10, default preset", "recall", ">= 0.95"),
    Expected("search.1c", "single-client p99 over gRPC, k=100", "ms", "<= 15"),
    Expected("search.1d", "minutes to load and build", "minutes", "<= 30"),
    Expected("search.1e", "resident memory ÷ (graph + re-ranking rows)", "ratio", "<= 1.3"),
    Expected("search.9", "seconds from start to correct searches", "s", "<= 5"),
)

_CHECKED_QUERIES = 20
# Recall of the first answers after a restart: they must be right, not only there.
_CORRECT_RECALL = 0.9
_PATIENCE_S = 60.0


def main() -> None:
    """Build, search, restart."""
    end_in_order()
    options = parse(sys.argv[1:], target="search-million", count=1_000_000)
    run = Run(options, Report("search", options.command), prepare(options))
    attempt(run, lambda: _measure(run), *(EXPECTED if not options.only else ()))
    run.report.print_table()


def _measure(run: Run) -> None:
    dataset = run.dataset
    truth = dataset.truth  # before the clock of the restart
    if run.options.wants("1d", "1e"):
        with run.service("million") as service:
            service.create(NAME, dataset.base.shape[1])
            seconds = load(service, NAME, dataset.base)
            what = (
                f"first upsert to the last vector indexed, {len(dataset.base):,} vectors over gRPC"
            )
            run.report.at_most("search.1d", what, seconds / 60, "minutes", 30)
            _search(run, service)
            _memory(run, service)
    else:
        with run.again("million") as service:
            _search(run, service)
    started_s = time.perf_counter()
    with run.again("million") as service:
        found = _first_correct(run, service, truth)
        elapsed_s = time.perf_counter() - started_s
        what = (
            f"process start to a recall@10 of {found:.3f} on {_CHECKED_QUERIES} queries, warm cache"
        )
        run.report.at_most("search.9", what, elapsed_s, "s", 5)


def _search(run: Run, service: Service) -> None:
    queries, truth = run.dataset.queries, run.dataset.truth
    stats = service.describe(NAME)
    shape = stats.settings.index
    graph = (
        f"graph over {shape.graph_dimension or run.dataset.base.shape[1]} dimensions, "
        f"M={shape.connectivity}, ef {shape.expansion_add} at build, {shape.expansion_search} at "
        f"search, {stats.stats.segments} segments; {len(queries):,} queries not in the set"
    )
    hundred = recall(service.find(NAME, queries, 100), truth, 100)
    run.report.at_least("search.1a", f"recall@100; {graph}", hundred, "recall", 0.95)
    ten = recall(service.find(NAME, queries, 10), truth, 10)
    run.report.at_least("search.1b", f"recall@10; {graph}", ten, "recall", 0.95)
    taken = service.latencies_ms(NAME, queries, 100, seconds=run.options.seconds)
    what = (
        f"one caller, k=100, over gRPC, {len(taken):,} searches: p50 {percentile(taken, 50):.2f} "
        f"ms, p99"
    )
    run.report.at_most("search.1c", what, percentile(taken, 99), "ms", 15)


def _memory(run: Run, service: Service) -> None:
    rows_bytes = run.options.count * run.dataset.base.shape[1] * 4
    graph_bytes = disk_use(run.options.work / "million").graph_bytes
    resident = service.memory_bytes()
    what = (
        f"{resident / 2**20:,.0f} MiB resident, mapped files included ÷ (graph "
        f"{graph_bytes / 2**20:,.0f} + rows {rows_bytes / 2**20:,.0f} MiB)"
    )
    run.report.at_most("search.1e", what, resident / (graph_bytes + rows_bytes), "ratio", 1.3)


def _first_correct(run: Run, service: Service, truth: I64) -> float:
    """Search until the answers are right; return their recall.

    Raises:
        Missing: they are not within a minute.
    """
    queries = run.dataset.queries[:_CHECKED_QUERIES]
    end_s = time.perf_counter() + _PATIENCE_S
    while time.perf_counter() < end_s:
        found = recall(service.find(NAME, queries, 10), truth[:_CHECKED_QUERIES], 10)
        if found >= _CORRECT_RECALL:
            return found
    raise Missing(f"recall@10 is still below {_CORRECT_RECALL} after {_PATIENCE_S:.0f} s")


if __name__ == "__main__":
    main()
