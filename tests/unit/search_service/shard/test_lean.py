"""A collection whose graph has four bits a component, through what others go through."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import apsw
import numpy as np
import pytest

from search_service.domain.collection import CollectionSpec, Dtype, IndexSettings, Preset
from search_service.domain.conditions import Range
from search_service.domain.mutations import Delete
from search_service.domain.queries import PlanKind, QueryRequest
from search_service.segments.building.planning import LEAST_GRAPH_VECTORS
from search_service.segments.manifest import GRAPH
from search_service.shard.opening import SEGMENTS
from search_service.shard.shard import STORE, Shard
from search_service.store import schema
from tests.unit.search_service.shard.kit import (
    STILL,
    build,
    create,
    fill,
    make_spec,
    random_units,
    reopen,
)

DIMENSION = 32
COUNT = LEAST_GRAPH_VECTORS + 200
VECTORS = random_units(COUNT + 2_000, DIMENSION)
QUERIES = random_units(COUNT + 2_000, DIMENSION)[::400] + np.float32(0.05)
QUERIES /= np.linalg.norm(QUERIES, axis=1, keepdims=True)


def spec() -> CollectionSpec:
    index = IndexSettings(Preset.LEAN, Dtype.I4, 8, 48, 128, 0)
    return replace(make_spec(DIMENSION), index=index)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lean")
    shard = create(path, spec(), STILL)
    fill(shard, VECTORS[:COUNT])
    build(shard)
    shard.close()
    return path


def recall(shard: Shard, condition: Range | None = None) -> tuple[float, set[PlanKind]]:
    """Share of the exact ten nearest that is found, and how it was looked for."""
    asked = QueryRequest(QUERIES, 10, condition)
    exact = shard.query(replace(asked, exact=True)).result(60)
    found = shard.query(asked).result(60)
    shared = 0
    for want, got in zip(exact, found, strict=True):
        scores = {hit.id: hit.score for hit in want.hits}
        assert all(scores.get(hit.id, hit.score) == hit.score for hit in got.hits)
        shared += len({hit.id for hit in got.hits} & set(scores))
    return shared / (10 * len(QUERIES)), {one.plan.kind for one in found}


def test_it_is_searched_with_and_without_filters(directory: Path) -> None:
    shard = reopen(directory, STILL)
    try:
        share, kinds = recall(shard)
        assert (share >= 0.95, kinds) == (True, {PlanKind.GRAPH})
        share, kinds = recall(shard, Range(("number",), less_than=0.9 * COUNT))
        assert share >= 0.95
        assert kinds & {PlanKind.GRAPH_FILTERED, PlanKind.COMPACT_FILTERED}
        share, kinds = recall(shard, Range(("number",), less_than=500.0))
        assert (share, kinds) == (1.0, {PlanKind.EXACT_FILTERED})
    finally:
        shard.close()


def test_it_grows_and_forgets(tmp_path: Path, directory: Path) -> None:
    for path in directory.rglob("*"):
        if path.is_file():
            target = tmp_path / path.relative_to(directory)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    shard = reopen(tmp_path, STILL)
    try:
        fill(shard, VECTORS[COUNT:], first=COUNT)
        shard.submit([Delete(f"item-{row}") for row in range(50)]).result(60)
        build(shard)
        assert recall(shard)[0] >= 0.95
        own = shard.query(QueryRequest(VECTORS[:100], 1)).result(60)
        assert [one.hits[0].id for one in own[50:]] == [f"item-{row}" for row in range(50, 100)]
        assert not {one.hits[0].id for one in own} & {f"item-{row}" for row in range(50)}
    finally:
        shard.close()
    (graph,) = (tmp_path / SEGMENTS).glob(f"*/{GRAPH}")
    data = bytearray(graph.read_bytes())
    data[len(data) // 2] ^= 16
    graph.write_bytes(data)
    shard = reopen(tmp_path, STILL)
    try:
        assert shard.stats().graph_vectors == 0, "a damaged graph is left out"
        assert recall(shard)[0] == 1.0
    finally:
        shard.close()


def test_earlier_releases_are_told_that_they_cannot_read_it(directory: Path) -> None:
    """They read formats 1 and 2; to them the settings would be damaged."""
    db = apsw.Connection(str(directory / STORE))
    try:
        assert db.pragma("user_version") in {schema.NIBBLES_FORMAT, schema.NIBBLES_PLAIN_FORMAT}
    finally:
        db.close()
    (segment,) = (directory / SEGMENTS).glob("*/manifest.json")
    assert b'"format":2' in segment.read_bytes()
