"""`python -m tests.bench.encoders`: what encoders give, row by row."""

from __future__ import annotations

import argparse
import sys

from tests.bench.encoders import exact, faces, projections, several, styles, whole
from tests.bench.encoders.embedding import Missing
from tests.bench.report import Report

_GROUPS = {
    "1": (exact.measure, exact.EXPECTED),
    "2": (whole.measure, whole.EXPECTED),
    "3": (projections.measure, projections.EXPECTED),
    "4": (styles.measure, styles.EXPECTED),
    "5": (faces.measure, faces.EXPECTED),
    "6": (several.measure, several.EXPECTED),
}


def main() -> None:
    """Measure what was asked for; what cannot be measured gets rows that say why."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.encoders")
    parser.add_argument("--only", default="", help="groups to measure, such as 1,3")
    options = parser.parse_args()
    only = frozenset(filter(None, options.only.split(",")))
    words = "python -m tests.bench.encoders" if sys.argv[1:] else "make bench-encoders"
    report = Report("encoders", " ".join([words, *sys.argv[1:]]))
    for group, (measure, expected) in _GROUPS.items():
        if only and group not in only:
            continue
        try:
            measure(report)
        except (Missing, OSError) as error:
            report.missing(*expected, reason=str(error))
    report.print_table()


if __name__ == "__main__":
    main()
