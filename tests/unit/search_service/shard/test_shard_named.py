"""Vectors by name, beside those that items have without one, against a dictionary."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import apsw
import numpy as np
import pytest

from lookalike.wire.errors import DimensionMismatch
from lookalike.wire.vectors import F32
from search_service.domain.collection import CollectionSpec, NamedVectors
from search_service.domain.conditions import Equals
from search_service.domain.items import Fields
from search_service.domain.mutations import Delete, Upsert
from search_service.domain.queries import GroupBy, Hit, QueryRequest
from search_service.shard.shard import STORE, Shard
from search_service.store import schema
from search_service.store.checker import look
from search_service.store.damage import StoreHealth
from search_service.store.schema import open_reader
from tests.unit.search_service.shard.kit import build, create, make_spec, random_units, reopen, unit

OWN = random_units(40, 8, seed=1)
STYLES = random_units(40, 5, seed=2)
CROPS = random_units(40, 3, seed=3)
Model = dict[str, tuple[str, dict[str, list[int]]]]
ROWS = {"": OWN, "style": STYLES, "crops": CROPS}


def spec() -> CollectionSpec:
    names = (NamedVectors("style", 5, "model-2"), NamedVectors("crops", 3, ""))
    return replace(make_spec(8), vectors=names)


def upsert(id: str, colour: str, rows: dict[str, list[int]]) -> Upsert:
    first, *further = (OWN[row] for row in rows[""])
    named = {
        name: tuple(ROWS[name][row] for row in chosen)
        for name, chosen in rows.items()
        if name and chosen
    }
    return Upsert(id, first, {"colour": colour}, further=tuple(further), named=named)


def found(shard: Shard, name: str, vector: F32, **options: object) -> list[Hit]:
    number = shard.spec.number_of(name)
    assert number is not None
    request = QueryRequest(vector[None, :], space=number, **options)  # type: ignore[arg-type]  # passed on
    return list(shard.query(request).result(60)[0].hits)


def check(shard: Shard, model: Model, source: random.Random) -> None:
    """Each name gives the hits that a dictionary has."""
    assert shard.count(None) == len(model)
    for name, rows in ROWS.items():
        row = source.randrange(len(rows))
        scores = (rows.astype(np.float64) @ rows[row].astype(np.float64)).astype(np.float32)
        for colour in (None, "red"):
            want = sorted(
                (-float(scores[held[name]].max()), id)
                for id, (was, held) in model.items()
                if held.get(name) and colour in (None, was)
            )
            condition = None if colour is None else Equals(("colour",), colour)
            hits = found(shard, name, rows[row], limit=9, filter=condition)
            np.testing.assert_allclose(
                [-hit.score for hit in hits], [score for score, _ in want[:9]], atol=1e-6
            )
            assert {hit.id for hit in hits} <= set(model)
    fields = Fields(vector=True)
    for item in shard.list_items(filter=None, after_id="", page_size=100, fields=fields):
        _, held = model[item.id]
        kept = {name: rows for name, rows in held.items() if name and rows}
        assert {
            name: [each.tolist() for each in vectors] for name, vectors in item.named.items()
        } == {name: ROWS[name][rows].tolist() for name, rows in kept.items()}


def test_each_name_is_searched_by_itself_through_changes_starts_and_builds(tmp_path: Path) -> None:
    source = random.Random(4)
    shard = create(tmp_path, spec())
    model: Model = {}
    for step in range(60):
        id = f"id-{source.randrange(25)}"
        if source.random() < 0.2:
            shard.submit([Delete(id)]).result(60)
            model.pop(id, None)
        else:
            rows = {
                name: source.sample(range(40), source.randrange(0 if name else 1, 4))
                for name in ROWS
            }
            colour = source.choice(["red", "green"])
            assert shard.submit([upsert(id, colour, rows)]).result(60)[0].error is None
            model[id] = (colour, rows)
        if step == 20:
            shard.close()
            shard = reopen(tmp_path)
        if step == 40:
            build(shard)
        if step % 10 == 9:
            check(shard, model, source)
    shard.close()
    health = StoreHealth("photos")
    db = open_reader(tmp_path / STORE, "")
    look(db, 8, health)
    assert db.pragma("user_version") in schema.SEVERAL_FORMATS
    db.close()
    assert health.damage == ""
    shard = reopen(tmp_path)
    check(shard, model, source)
    groups = (
        shard.query(QueryRequest(STYLES[:1], space=1, group_by=GroupBy(("colour",)), limit=2))
        .result(60)[0]
        .groups
    )
    assert {group.value for group in groups} == {"red", "green"}
    shard.close()


def test_a_name_has_a_dimension_of_its_own(tmp_path: Path) -> None:
    shard = create(tmp_path, spec())
    wrong = Upsert("a", OWN[0], named={"style": (unit(1, 0),)})
    assert isinstance(shard.submit([wrong]).result(30)[0].error, DimensionMismatch)
    with pytest.raises(DimensionMismatch):
        found(shard, "style", OWN[0])
    shard.close()


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE named_1 SET item = 77 WHERE ordinal = 1",
        "UPDATE named_1 SET vector = zeroblob(20) WHERE ordinal = 1",
    ],
)
def test_damage_of_named_vectors_is_found(tmp_path: Path, damage: str) -> None:
    shard = create(tmp_path, spec())
    shard.submit([upsert("a", "red", {"": [0], "style": [1, 2]})]).result(30)
    shard.close()
    db = apsw.Connection(str(tmp_path / STORE))
    db.execute(damage)
    db.close()

    again = reopen(tmp_path)
    assert again.stats().store_damage != ""
    assert found(again, "", OWN[0])[0].id == "a"
    again.close()
