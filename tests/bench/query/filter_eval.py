"""How long a filter takes: `python -m tests.bench.query.filter_eval [--items N]`."""

from __future__ import annotations

import argparse
import gc
import os
import tempfile
import time
from collections import defaultdict
from pathlib import Path

from search_service.filters.index import MetadataIndex
from search_service.filters.index_file import load_index, save_index
from tests.bench.query.filter_items import make_filters, make_items
from tests.bench.report import Report, median_seconds, percentile

_WARM_UP = 200


def main() -> None:
    """Measure and write the rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--filters", type=int, default=4_500)
    parser.add_argument("--suite", default="query")
    arguments = parser.parse_args()
    report = Report(arguments.suite, "filter_eval.py --items " + str(arguments.items))
    before_bytes = _resident_bytes()
    started = time.perf_counter()
    index = MetadataIndex()
    for ordinal, metadata in make_items(arguments.items, seed=1):
        index.add(ordinal, metadata)
    built_s = time.perf_counter() - started
    gc.collect()
    per_item = (_resident_bytes() - before_bytes) / arguments.items
    _measure(report, index, arguments.items, arguments.filters)
    report.stated("query.5b", "building the index, items made as it goes", built_s, "s")
    report.stated("query.5c", "memory of the index for an item of 10 fields", per_item, "bytes")
    _save_and_load(report, index, arguments.items)
    report.print_table()


def _save_and_load(report: Report, index: MetadataIndex, items: int) -> None:
    """What a start saves by the file, and what the file costs."""
    copied_ms = median_seconds(index.frozen_copy) * 1e3
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "filters.idx"
        frozen = index.frozen_copy()
        saved_s = median_seconds(
            lambda: save_index(frozen, path, collection_uid="bench", token="bench"), repeats=3
        )
        loaded_s = median_seconds(lambda: load_index(path, collection_uid="bench"), repeats=3)
        per_item = path.stat().st_size / items
    report.stated("query.5d", "copying the index for a save, while writes wait", copied_ms, "ms")
    report.stated("query.5e", "writing the copy to a file, beside all else", saved_s, "s")
    report.stated("query.5f", "reading the index from its file, at a start", loaded_s, "s")
    report.stated("query.5g", "size of the file for an item of 10 fields", per_item, "bytes")


def _measure(report: Report, index: MetadataIndex, items: int, filters: int) -> None:
    times_ms: dict[str, list[float]] = defaultdict(list)
    for i, (kind, filter) in enumerate(make_filters(filters + _WARM_UP, seed=2)):
        started = time.perf_counter()
        index.evaluate(filter)
        if i >= _WARM_UP:
            times_ms[kind].append((time.perf_counter() - started) * 1e3)
    every = [ms for kind in times_ms.values() for ms in kind]
    what = f"filter evaluation, {items:,} items of 10 fields, {filters:,} filters, p99"
    report.at_most("query.5", what, percentile(every, 99), "ms", 5)
    by_kind: dict[str, object] = {
        kind: [round(percentile(ms, p), 3) for p in (50, 99, 100)] for kind, ms in times_ms.items()
    }
    report.stated("query.5a", "the same by kind: p50, p99, most", by_kind, "ms")


def _resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    main()
