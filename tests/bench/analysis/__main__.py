"""`python -m tests.bench.analysis`: kinds of pairs, groups of pictures, of many vectors; hashes."""

from __future__ import annotations

import argparse
import sys

from tests.bench.analysis import groups, hashes, kinds, planted
from tests.bench.report import Report


def main() -> None:
    """Measure what was asked for; rows that miss are rows all the same."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.analysis")
    parser.add_argument(
        "--only", action="append", choices=["2", "2.groups", "3", "bank"], default=[]
    )
    parser.add_argument("--count", type=int, default=200_000, help="vectors of row 3")
    parser.add_argument("--hashes", type=int, default=1_000_000, help="hashes of row bank.1")
    parser.add_argument("--stored", type=int, default=100_000, help="items of row bank.2")
    options = parser.parse_args()
    report = Report("analysis", " ".join(["python -m tests.bench.analysis", *sys.argv[1:]]))
    wanted = options.only or ["2", "2.groups", "3", "bank"]
    if "2" in wanted:
        kinds.measure(report)
    if "2.groups" in wanted:
        groups.measure(report)
    if "3" in wanted:
        planted.measure(report, options.count)
    if "bank" in wanted:
        hashes.measure(report, options.hashes, options.stored)
    report.print_table()


if __name__ == "__main__":
    main()
