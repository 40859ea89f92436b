"""`python -m tests.bench.search`: the figures of the search core, side by side with its peers."""

from __future__ import annotations

import sys

from tests.bench.report import Report
from tests.bench.search import churn, forms, reach, rivals, streaming, throughput
from tests.bench.search.loading import load
from tests.bench.search.options import parse
from tests.bench.search.run import NAME, Run, attempt, end_in_order
from tests.bench.search.vectors import prepare


def main() -> None:
    """Measure what was asked for; rows that miss are rows all the same."""
    end_in_order()
    options = parse(sys.argv[1:], target="search", count=200_000)
    run = Run(options, Report("search", options.command), prepare(options))
    if options.wants("0"):
        attempt(run, lambda: reach.hardness(run), *reach.HARDNESS)
    if options.wants("2", "3", "4", "5", "8"):
        shared = (*throughput.EXPECTED, *rivals.EXPECTED, *reach.EXPECTED)
        attempt(run, lambda: _on_one_collection(run), *(shared if not options.only else ()))
    if options.wants("6"):
        attempt(run, lambda: churn.measure(run), *churn.EXPECTED)
    if options.wants("7"):
        attempt(run, lambda: reach.duplicates(run), *reach.DUPLICATES)
    if options.wants("10"):
        attempt(run, lambda: forms.measure(run), *forms.EXPECTED)
    run.report.print_table()


def _on_one_collection(run: Run) -> None:
    """Measure what shares one filled collection; those that add to it come last."""
    wants, data = run.options.wants, run.options.work / "main"
    with run.service("main") as service:
        service.create(NAME, run.dataset.base.shape[1])
        seconds = load(service, NAME, run.dataset.base)
        print(f"{run.options.count:,} vectors loaded and indexed in {seconds:.0f} s", flush=True)
        if wants("5"):
            attempt(run, lambda: reach.measure(run, service), *reach.EXPECTED)
        if wants("2"):
            attempt(run, lambda: throughput.measure(run, service, data), *throughput.EXPECTED)
        if wants("3"):
            attempt(run, lambda: rivals.measure(run, service), *rivals.EXPECTED)
        if wants("4"):
            attempt(run, lambda: streaming.stream(run, service), *streaming.STREAMING)
        if wants("8"):
            attempt(run, lambda: streaming.upsert(run, service), *streaming.UPSERTS)


if __name__ == "__main__":
    main()
