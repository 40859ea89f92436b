"""Asks a shard in every way that reaches a compiled loop; run in a process of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from search_service.compiled.nearest import nearest_exactly
from search_service.compiled.products import products_each, products_of_pairs
from search_service.compiled.walk import compare_some, walk
from search_service.compiled.warm import warm_up
from search_service.domain.conditions import Range
from search_service.domain.queries import PlanKind, QueryRequest
from tests.unit.search_service.shard.kit import (
    build,
    create,
    fill,
    make_spec,
    random_units,
    seal,
)

LOOPS: tuple[Any, ...] = (compare_some, nearest_exactly, products_each, products_of_pairs, walk)


def forms_after_every_plan(directory: Path) -> dict[str, int]:
    """Return how many forms of each loop were compiled."""
    warm_up()
    directory.mkdir()
    vectors = random_units(14_000, 24)
    shard = create(directory, make_spec(24, graph_dimension=12))
    seen = set()
    try:
        # A head alone, a segment that waits for a graph, then a graph beside a head.
        for index, count in enumerate((50, 14_000, 14_000)):
            fill(shard, vectors[:count])
            if index == 1:
                shard = seal(shard, directory)
            elif index:
                build(shard)
                fill(shard, vectors[:20], first=20_000)
            for bound in (None, 30.0, 6_000.0, 13_000.0):
                condition = None if bound is None else Range(("number",), less_than=bound)
                for size in (1, 2, 9):
                    for exact in (False, True):
                        request = QueryRequest(vectors[:size], 5, condition, exact=exact)
                        seen |= {one.plan.kind for one in shard.query(request).result(60)}
    finally:
        shard.close()
    wanted = set(PlanKind) - {PlanKind.EXACT_FALLBACK, PlanKind.COMPACT_FALLBACK}
    assert seen >= wanted, f"not asked for: {wanted - seen}"
    return {loop.__name__: len(loop.signatures) for loop in LOOPS}
