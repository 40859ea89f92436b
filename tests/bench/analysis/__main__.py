"""`python -m tests.bench.analysis`: kinds of pairs, groups of pictures and of many vectors."""

from __future__ import annotations

import argparse
import sys

from tests.bench.analysis import groups, kinds, planted
from tests.bench.report import Report


def main() -> None:
    """Measure what was asked for; rows that miss are rows all the same."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.analysis")
    parser.add_argument("--only", action="append", choices=["2", "2.groups", "3"], default=[])
    parser.add_argument("--count", type=int, default=200_000, help="vectors of row 3")
    options = parser.parse_args()
    report = Report("analysis", " ".join(["python -m tests.bench.analysis", *sys.argv[1:]]))
    wanted = options.only or ["2", "2.groups", "3"]
    if "2" in wanted:
        kinds.measure(report)
    if "2.groups" in wanted:
        groups.measure(report)
    if "3" in wanted:
        planted.measure(report, options.count)
    report.print_table()


if __name__ == "__main__":
    main()
