"""Groups, orders, facets and picked fields of a shard, against plain Python."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_service.domain.conditions import Range
from search_service.domain.items import Fields, Order, Place
from search_service.domain.mutations import Upsert
from search_service.domain.queries import GroupBy, PlanKind, QueryRequest
from search_service.shard.shard import Shard
from search_service.store.picking import pick
from tests.unit.search_service.shard.kit import (
    build,
    create,
    fill,
    make_spec,
    random_units,
    unit,
)

COUNT, DIMENSION = 3_000, 16
VECTORS = random_units(COUNT, DIMENSION, seed=3)


def metadata_of(row: int) -> dict[str, Any]:
    """Fields of every form: few values, many, lists, mixed kinds, missing."""
    mixed: Any = [True, False, row % 7, f"w{row % 5}", None][row % 5]
    return {
        "number": row,
        "colour": f"c{row * row % 11}",
        "serial": f"s{row * 7 % COUNT:05d}",
        "tags": [f"t{row % 3}", f"t{row % 3}", f"t{row % 4}"],
        "mixed": mixed,
        "half": {"deep": row % 13} if row % 2 else {},
    }


@pytest.fixture(scope="module")
def shard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shard]:
    made = create(tmp_path_factory.mktemp("fields"), make_spec(DIMENSION))
    for start in range(0, COUNT, 500):
        rows = range(start, start + 500)
        made.submit([Upsert(f"i{r:05d}", VECTORS[r], metadata_of(r)) for r in rows]).result(60)
    yield made
    made.close()


def values_of(row: int, field: tuple[str, ...]) -> list[Any]:
    value: Any = metadata_of(row)
    for key in field:
        value = value.get(key) if isinstance(value, Mapping) else None
    if isinstance(value, list):
        return list(dict.fromkeys(value))
    return [] if value is None or isinstance(value, Mapping) else [value]


def rank(value: Any) -> tuple[int, Any]:
    return (0 if isinstance(value, bool) else 2 if isinstance(value, str) else 1), value


FIELDS = [("colour",), ("serial",), ("tags",), ("mixed",), ("half", "deep"), ("number",), ("no",)]


@pytest.mark.parametrize("field", FIELDS, ids=".".join)
@pytest.mark.parametrize("descending", [False, True])
def test_pages_in_order_give_every_item_once(
    shard: Shard, field: tuple[str, ...], descending: bool
) -> None:
    condition = Range(("number",), at_least=100.0, less_than=1_400.0)
    listed: list[str] = []
    after: Place | None = None
    while True:
        page = shard.list_ordered(
            filter=condition,
            order=Order(field, descending),
            after=after,
            page_size=170,
            fields=Fields(metadata=True),
        )
        listed += [each.item.id for each in page]
        assert all(each.item.metadata for each in page)
        if len(page) < 170:
            break
        after = page[-1].place

    rows = range(100, 1_400)
    having = {r: sorted(map(rank, values_of(r, field))) for r in rows if values_of(r, field)}
    end = -1 if descending else 0
    runs: dict[Any, list[int]] = {}
    for row, found in having.items():
        runs.setdefault(found[end], []).append(row)
    wanted = [r for key in sorted(runs, reverse=descending) for r in sorted(runs[key])]
    wanted += [r for r in rows if r not in having]
    assert listed == [f"i{r:05d}" for r in wanted]


@pytest.mark.parametrize("field", FIELDS, ids=".".join)
def test_facets_count_values(shard: Shard, field: tuple[str, ...]) -> None:
    condition = Range(("number",), less_than=2_000.0)
    found = shard.facets(field, condition, 4)
    counts = Counter(rank(v) for row in range(2_000) for v in values_of(row, field))
    wanted = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:4]
    assert [(rank(value), count) for value, count in found.counts] == wanted
    listed = {key for key, _ in wanted}
    held = [{rank(v) for v in values_of(row, field)} for row in range(2_000)]
    assert found.items == 2_000
    assert found.missing == sum(not keys for keys in held)
    assert found.other == sum(bool(keys) and not keys & listed for keys in held)
    assert found.values == len(counts)


def grouped(
    query: Any, field: tuple[str, ...], limit: int, per_group: int, least: float = -2.0
) -> list[tuple[Any, list[str]]]:
    scores = (VECTORS.astype(np.float64) @ query.astype(np.float64)).astype(np.float32)
    groups: dict[Any, list[str]] = {}
    for row in np.lexsort((np.arange(COUNT), -scores)).tolist():
        if scores[row] < least:
            break
        for value in sorted(map(rank, values_of(row, field))):
            if value in groups or len(groups) < limit:
                hits = groups.setdefault(value, [])
                if len(hits) < per_group:
                    hits.append(f"i{row:05d}")
    return list(groups.items())


@pytest.mark.parametrize(
    ("field", "limit", "per_group"),
    [
        (("colour",), 11, 3),
        (("colour",), 20, 2),
        (("serial",), 7, 2),
        (("tags",), 4, 100),
        (("mixed",), 3, 1),
        (("half", "deep"), 13, 5),
        (("no",), 5, 1),
    ],
)
def test_groups_are_those_of_all_items(
    shard: Shard, field: tuple[str, ...], limit: int, per_group: int
) -> None:
    queries = random_units(4, DIMENSION, seed=8)
    request = QueryRequest(queries, limit, group_by=GroupBy(field, per_group))
    for query, outcome in zip(queries, shard.query(request).result(60), strict=True):
        got = [(rank(g.value), [hit.id for hit in g.hits]) for g in outcome.groups]
        assert got == grouped(query, field, limit, per_group)
        assert not outcome.hits


def test_groups_heed_exclusions_scores_and_fields(shard: Shard) -> None:
    query = VECTORS[5]
    request = QueryRequest(
        query[None],
        limit=6,
        min_score=0.2,
        exclude=[frozenset({"i00005"})],
        group_by=GroupBy(("colour",), 2),
        fields=Fields(metadata=True, metadata_paths=(("colour",),)),
    )
    (outcome,) = shard.query(request).result(60)
    hits = [hit for group in outcome.groups for hit in group.hits]
    assert hits
    assert all(hit.score >= 0.2 and hit.id != "i00005" for hit in hits)
    for group in outcome.groups:
        for hit in group.hits:
            assert hit.item is not None
            assert hit.item.metadata == {"colour": group.value}


@pytest.mark.parametrize(
    ("count", "kept", "kind"),
    [
        (14_000, 400, PlanKind.EXACT_FILTERED),
        (14_000, 4_000, PlanKind.COMPACT_FILTERED),
        (36_000, 18_000, PlanKind.COMPACT_FALLBACK),
    ],
)
def test_a_filter_that_keeps_the_farthest_finds_the_nearest_of_them(
    tmp_path: Path, count: int, kept: int, kind: PlanKind
) -> None:
    vectors = random_units(count, 24, seed=1)
    query = vectors[17]
    order = np.argsort(-(vectors @ query))
    made = create(tmp_path, make_spec(24))
    try:
        fill(made, vectors[order][::-1].copy())  # number 0 is the farthest
        build(made)
        # What is in the head must not pass for an answer of the graph's.
        far = [Upsert(f"h{n}", unit(*-query), {"number": n}) for n in range(30)]
        made.submit(far).result(60)
        condition = Range(("number",), less_than=float(kept))
        request = QueryRequest(query[None], 10, condition, expansion_search=16)
        (outcome,) = made.query(request).result(60)
    finally:
        made.close()
    assert [hit.id for hit in outcome.hits] == [f"item-{n}" for n in range(kept - 1, kept - 11, -1)]
    assert outcome.plan.kind is kind


def test_picking_fields() -> None:
    item: dict[str, Any] = {
        "a": {"b": 1, "c": [{"d": 1, "e": 2}, {"e": 3}, 4]},
        "f": None,
        "g": "x",
    }
    assert pick(item, [("a", "b"), ("f",)]) == {"a": {"b": 1}, "f": None}
    assert pick(item, [("a", "c", "d"), ("g", "h"), ("no",)]) == {"a": {"c": [{"d": 1}]}}
    assert pick(item, [("a", "b"), ("a",)]) == {"a": item["a"]}


KEYS = st.sampled_from(["a", "b", "c"])
OBJECTS = st.dictionaries(
    KEYS,
    st.recursive(
        st.integers() | st.none() | st.text(max_size=2),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
        max_leaves=8,
    ),
)


@given(OBJECTS, st.lists(st.lists(KEYS, min_size=1, max_size=3).map(tuple), min_size=1))
def test_picking_twice_is_picking_once(item: dict[str, Any], paths: list[tuple[str, ...]]) -> None:
    once = pick(item, paths)
    assert pick(once, paths) == once
    assert pick(item, [*paths, *((key,) for key in item)]) == item
