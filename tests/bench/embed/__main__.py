"""`python -m tests.bench.embed`: the figures of the embedding service, side by side."""

from __future__ import annotations

import sys

from tests.bench.embed import hostile, latency, overload, quality, throughput
from tests.bench.embed.run import attempt, parse


def main() -> None:
    """Measure what was asked for; rows that miss are rows all the same."""
    run = parse(sys.argv[1:])
    if run.wants("1") or run.wants("2"):
        attempt(run, lambda: throughput.measure(run), *throughput.EXPECTED)
    if run.wants("3"):
        attempt(run, lambda: latency.idle(run), *latency.EXPECTED_IDLE)
    if run.wants("4"):
        attempt(run, lambda: latency.lanes(run), *latency.EXPECTED_LANES)
    if run.wants("5"):
        attempt(run, lambda: overload.overload(run), *overload.EXPECTED_OVERLOAD)
    if run.wants("6"):
        attempt(run, lambda: overload.cancelled(run), *overload.EXPECTED_CANCELLED)
    if run.wants("7"):
        attempt(run, lambda: quality.measure(run), *quality.EXPECTED)
    if run.wants("8"):
        attempt(run, lambda: hostile.measure(run), *hostile.EXPECTED)
    run.report.print_table()


if __name__ == "__main__":
    main()
