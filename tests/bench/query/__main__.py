"""`python -m tests.bench.query`: filters, groups, path, memory, snapshots, deletions."""

from __future__ import annotations

import subprocess
import sys

from tests.bench.query import filtered, groups, path, rivals
from tests.bench.query.filtered import Filtered
from tests.bench.query.path_items import Items
from tests.bench.report import Report
from tests.bench.search.options import ROOT, Options, parse
from tests.bench.search.run import NAME, Run, attempt
from tests.bench.search.vectors import prepare

# Ten fields for each of a million items, whatever the number of vectors.
_FILTER_ITEMS = 1_000_000


def main() -> None:
    """Measure what was asked for; rows that miss are rows all the same."""
    options = parse(sys.argv[1:], target="query", count=200_000)
    if options.wants("1", "2", "3", "4", "4.peers"):
        run = Run(options, Report("query", options.command), prepare(options))
        items = Filtered(run.dataset)
        if options.wants("1", "2", "3", "4"):
            expected = filtered.EXPECTED if not options.only else ()
            attempt(run, lambda: _filters(run, items), *expected)
        if options.wants("4", "4.peers"):
            attempt(run, lambda: _rivals(run, items), *rivals.EXPECTED)
        run.report.print_table()
    if options.wants("2.1", "2.2", "2.3", "2.7", "2.10"):
        run = Run(options, Report("query", options.command), prepare(options))
        attempt(run, lambda: _path(run))
        run.report.print_table()
    # These write rows of their own into the same file.
    if options.wants("5"):
        _module("filter_eval", "--items", str(min(_FILTER_ITEMS, 5 * options.count)))
    if options.wants("6"):
        _module("snapshot", *_size_flags(options))
    if options.wants("2.4", "2.5", "2.6"):
        _anchors(options)
    if options.wants("2.8"):
        _module("lean", *_size_flags(options))
    if options.wants("2.9"):
        _module("delete_by_filter", *_size_flags(options))


def _path(run: Run) -> None:
    items = Items(run.dataset)
    with run.service("path") as service:
        service.create(NAME, run.dataset.base.shape[1])
        items.load(service, NAME)
    # Again, so that nothing of the load is left in memory.
    with run.again("path") as service:
        service.wait_indexed(NAME)
        if run.options.wants("2.1", "2.2", "2.3"):
            attempt(run, lambda: path.measure(run, service), *path.EXPECTED)
        if run.options.wants("2.7"):
            data = run.options.work / "path"
            attempt(run, lambda: path.compare(run, service, data), *path.EXPECTED_BEFORE)
        if run.options.wants("2.10"):
            attempt(run, lambda: groups.measure(run, service, items), *groups.EXPECTED)


def _filters(run: Run, items: Filtered) -> None:
    with run.service("filtered") as service:
        service.create(NAME, run.dataset.base.shape[1])
        items.load(service)
        if run.options.wants("1", "2", "3"):
            attempt(run, lambda: filtered.measure(run, service, items), *filtered.EXPECTED)
        if run.options.wants("4"):
            attempt(run, lambda: rivals.measure(run, service, items))


def _rivals(run: Run, items: Filtered) -> None:
    rivals.measure_peers(run, items)
    rivals.compare(run)


def _anchors(options: Options) -> None:
    """Rows 2.4 and 2.5 are of one run; all queries of other rows are not needed here."""
    figures = {"2.4", "2.6"} if not options.only else options.only & {"2.4", "2.5", "2.6"}
    asked = {"2.4" if figure == "2.5" else figure for figure in figures}
    only = ("--only", asked.pop()) if len(asked) == 1 else ()
    _run_module("tests.bench.search.anchors", "--items", str(options.count), *only)


def _size_flags(options: Options) -> tuple[str, ...]:
    return ("--count", str(options.count), "--dimension", str(options.dimension))


def _module(name: str, *arguments: str) -> None:
    _run_module(f"tests.bench.query.{name}", *arguments)


def _run_module(name: str, *arguments: str) -> None:
    subprocess.run([sys.executable, "-m", name, *arguments], cwd=ROOT, check=True)


if __name__ == "__main__":
    main()
