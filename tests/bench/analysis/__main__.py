"""`python -m tests.bench.analysis`: kinds of pairs, turned ones, groups, many vectors; hashes."""

from __future__ import annotations

import argparse
import sys

from tests.bench.analysis import groups, hashes, kinds, planted, turning
from tests.bench.report import Report

_ROWS = ["2", "2.groups", "2.turned", "3", "6", "bank"]


def main() -> None:
    """Measure what was asked for; rows that miss are rows all the same."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.analysis")
    parser.add_argument("--only", action="append", choices=_ROWS, default=[])
    parser.add_argument("--count", type=int, default=200_000, help="vectors of rows 3 and 6")
    parser.add_argument("--hashes", type=int, default=1_000_000, help="hashes of row bank.1")
    parser.add_argument("--stored", type=int, default=100_000, help="items of row bank.2")
    options = parser.parse_args()
    report = Report("analysis", " ".join(["python -m tests.bench.analysis", *sys.argv[1:]]))
    wanted = options.only or _ROWS
    if "2" in wanted:
        kinds.measure(report)
    if "2.groups" in wanted:
        groups.measure(report)
    if "2.turned" in wanted:
        turning.measure(report)
    if "3" in wanted or "6" in wanted:  # searches wait for the groups of row 3
        planted.measure(report, options.count)
    if "bank" in wanted:
        hashes.measure(report, options.hashes, options.stored)
    report.print_table()


if __name__ == "__main__":
    main()
