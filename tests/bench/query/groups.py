"""query2.10: what a search for groups costs, against one for as many hits."""

from __future__ import annotations

import time

import numpy as np

from lookalike.v1 import search_pb2
from tests.bench.query.path_items import VALUES, Items
from tests.bench.report import percentile
from tests.bench.search.run import NAME, Expected, Run
from tests.bench.search.service import Service, search_request

EXPECTED = (
    Expected("query2.10", "100 groups ÷ an ungrouped search with limit 1,000", "ratio", "<= 3"),
)

_LIMIT = 1_000
_QUERIES = 40


def measure(run: Run, service: Service, items: Items) -> None:
    """Add the row of values that have nothing to do with the vectors, and state that of others."""
    queries = run.dataset.queries[:_QUERIES]
    values = {"": 0, "shop": len(np.unique(items.shop)), "kind": len(np.unique(items.kind))}
    taken_ms: dict[str, list[float]] = {"": [], "shop": [], "kind": []}
    for place, query in enumerate(queries):
        for field, so_far in taken_ms.items():  # in turns: each meets the same other load
            request = search_request(NAME, query[None], VALUES if field else _LIMIT)
            if field:
                request.group_by.CopyFrom(search_pb2.GroupBy(field=field))
            started_s = time.perf_counter()
            (result,) = service.search.Search(request).results
            if place >= 3:  # the first meet cold memory
                so_far.append((time.perf_counter() - started_s) * 1e3)
            if len(result.groups) != values[field]:
                raise ValueError(f"{len(result.groups)} groups of {field!r}")
    plain, shop, kind = (percentile(ms, 50) for ms in taken_ms.values())
    what = (
        f"{VALUES} groups whose values have nothing to do with the vectors, p50 {shop:.1f} ms ÷ "
        f"ungrouped, limit {_LIMIT:,}, {plain:.1f} ms"
    )
    run.report.at_most("query2.10", what, shop / plain, "ratio", 3)
    what = f"the same, values that follow the vectors, so that all is compared: {kind:.1f} ms"
    run.report.stated("query2.10a", what, kind / plain, "ratio")
