"""Groups found through a graph are those of a plain dictionary over all items."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from search_service.domain.conditions import Equals, Filter, Range
from search_service.domain.mutations import Delete, UpdateMetadata, Upsert
from search_service.domain.queries import GroupBy, PlanKind, QueryOutcome, QueryRequest
from search_service.shard.shard import Shard
from tests.unit.search_service.shard.kit import STILL, build, create, make_spec, random_units

COUNT, DIMENSION = 21_000, 16
IN_GRAPH = 20_000
VECTORS = random_units(COUNT, DIMENSION, seed=11)
CHANCE = np.random.default_rng(12)
SHOPS = CHANCE.integers(0, 100, COUNT).tolist()
NEAREST_OF_60 = np.argmax(VECTORS @ VECTORS[:60].T, axis=1).tolist()
DEAD = frozenset(range(5, COUNT, 17))
MOVED = frozenset(range(3, COUNT, 1_001))
QUERIES = random_units(6, DIMENSION, seed=13)


def metadata_of(row: int) -> dict[str, Any]:
    return {
        "number": row,
        "shop": -1 if row in MOVED else SHOPS[row],
        "kind": f"k{NEAREST_OF_60[row]}",
        "all": "same",
        "two": row % 50 == 7,
        "mixed": [True, 1, 1.5, "1"][row % 4],
        "tags": [f"t{row % 7}", f"t{row % 11}"],
        "serial": f"s{row}",
        "pair": f"p{row // 2}",
        **({"some": row % 90} if row % 3 == 0 else {}),
        **({"rare": row % 5} if row % 700 == 0 else {}),
    }


@pytest.fixture(scope="module")
def shard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shard]:
    made = create(tmp_path_factory.mktemp("groups"), make_spec(DIMENSION), STILL)

    def store(first: int, last: int) -> None:
        for start in range(first, last, 1_000):
            rows = range(start, start + 1_000)
            made.submit(
                [
                    Upsert(f"i{r:05d}", VECTORS[r], {**metadata_of(r), "shop": SHOPS[r]})
                    for r in rows
                ]
            ).result(60)

    store(0, IN_GRAPH)
    build(made)
    store(IN_GRAPH, COUNT)  # these stay in the head
    made.submit([UpdateMetadata(f"i{r:05d}", metadata_of(r)) for r in MOVED]).result(60)
    made.submit([Delete(f"i{r:05d}") for r in DEAD]).result(60)
    yield made
    made.close()


Groups = list[tuple[Any, list[str]]]


def kind_of(value: Any) -> tuple[str, Any]:
    """Tell true from 1, and 1 from "1"."""
    kind = "b" if isinstance(value, bool) else "s" if isinstance(value, str) else "n"
    return kind, value


def model(
    query: Any, field: str, limit: int, per_group: int, meets: Callable[[int], bool]
) -> Groups:
    scores = (VECTORS.astype(np.float64) @ query.astype(np.float64)).astype(np.float32)
    groups: dict[Any, list[str]] = {}
    for row in np.lexsort((np.arange(COUNT), -scores)).tolist():
        held = metadata_of(row).get(field)
        if row in DEAD or not meets(row) or held is None:
            continue
        for value in sorted(set(map(kind_of, held if isinstance(held, list) else [held]))):
            if value in groups or len(groups) < limit:
                hits = groups.setdefault(value, [])
                if len(hits) < per_group:
                    hits.append(f"i{row:05d}")
    return list(groups.items())


def found(outcome: QueryOutcome) -> Groups:
    return [(kind_of(group.value), [hit.id for hit in group.hits]) for group in outcome.groups]


def agreement(got: Groups, true: Groups) -> float:
    """Return the share of true (value, hit) pairs that were found."""
    pairs = {(value, hit) for value, hits in true for hit in hits}
    return len(pairs & {(value, hit) for value, hits in got for hit in hits}) / len(pairs)


def everything(_row: int) -> bool:
    return True


HALF: tuple[Filter, Callable[[int], bool]] = (
    Range(("number",), at_least=9_000.0),
    lambda row: row >= 9_000,
)
TENTH: tuple[Filter, Callable[[int], bool]] = (
    Range(("number",), less_than=2_000.0),
    lambda row: row < 2_000,
)
ALONE: tuple[Filter, Callable[[int], bool]] = (
    Equals(("shop",), 7.0),
    lambda row: bool(metadata_of(row)["shop"] == 7),
)

CASES = [
    ("shop", 100, 1),
    ("shop", 10, 3),
    ("shop", 200, 1),
    ("kind", 60, 1),
    ("kind", 10, 1),
    ("kind", 100, 4),
    ("all", 10, 1),
    ("all", 10, 100),
    ("two", 5, 2),
    ("mixed", 4, 2),
    ("tags", 11, 3),
    ("serial", 50, 2),
    ("pair", 40, 2),
    ("some", 90, 1),
    ("rare", 5, 2),
    ("nowhere", 5, 1),
]


@pytest.mark.parametrize("exact", [False, True], ids=["graph", "exact"])
@pytest.mark.parametrize(("field", "limit", "per_group"), CASES)
def test_groups_are_those_of_a_dictionary(
    shard: Shard, field: str, limit: int, per_group: int, exact: bool
) -> None:
    request = QueryRequest(QUERIES, limit, exact=exact, group_by=GroupBy((field,), per_group))
    outcomes = shard.query(request).result(60)
    shares = []
    for query, outcome in zip(QUERIES, outcomes, strict=True):
        true = model(query, field, limit, per_group, everything)
        got = found(outcome)
        if exact:
            assert got == true
        assert len(got) == len(true)
        shares.append(agreement(got, true) if true else 1.0)
        best = [group.hits[0].score for group in outcome.groups]
        assert best == sorted(best, reverse=True)
    assert np.mean(shares) >= 0.97


@pytest.mark.parametrize("condition", [HALF, TENTH, ALONE], ids=["half", "tenth", "hundredth"])
@pytest.mark.parametrize(("field", "limit", "per_group"), [("kind", 60, 1), ("some", 20, 2)])
def test_groups_of_what_meets_a_filter(
    shard: Shard,
    field: str,
    limit: int,
    per_group: int,
    condition: tuple[Filter, Callable[[int], bool]],
) -> None:
    filter, meets = condition
    request = QueryRequest(QUERIES, limit, filter, group_by=GroupBy((field,), per_group))
    for query, outcome in zip(QUERIES, shard.query(request).result(60), strict=True):
        true = model(query, field, limit, per_group, meets)
        got = found(outcome)
        assert len(got) == len(true)
        assert agreement(got, true) >= 0.9


@pytest.mark.parametrize("exact", [False, True], ids=["graph", "exact"])
def test_what_is_left_out_or_too_far_is_in_no_group(shard: Shard, exact: bool) -> None:
    (near,) = model(QUERIES[0], "all", 1, 40, everything)
    left_out = frozenset(near[1])
    request = QueryRequest(
        QUERIES[:1],
        100,
        min_score=0.2,
        exact=exact,
        exclude=[left_out],
        group_by=GroupBy(("shop",), 2),
    )
    (outcome,) = shard.query(request).result(60)
    hits = [hit for group in outcome.groups for hit in group.hits]
    assert hits
    assert all(hit.score >= 0.2 and hit.id not in left_out for hit in hits)
    scores = VECTORS @ QUERIES[0]
    true = model(
        QUERIES[0],
        "shop",
        100,
        2,
        lambda row: scores[row] >= 0.2 and f"i{row:05d}" not in left_out,
    )
    assert agreement(found(outcome), true) >= (1.0 if exact else 0.97)


def test_a_graph_gives_groups_that_have_nothing_to_do_with_the_vectors(shard: Shard) -> None:
    request = QueryRequest(QUERIES, 20, group_by=GroupBy(("shop",)))
    kinds = {outcome.plan.kind for outcome in shard.query(request).result(60)}
    assert kinds == {PlanKind.GRAPH}


def test_all_is_compared_where_what_is_near_holds_too_few_values(shard: Shard) -> None:
    request = QueryRequest(QUERIES, 60, group_by=GroupBy(("kind",)))
    kinds = {outcome.plan.kind for outcome in shard.query(request).result(60)}
    assert kinds == {PlanKind.EXACT_FALLBACK}
