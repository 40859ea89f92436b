"""Items with several vectors: formats, limits, verdicts, variety, damage."""

from __future__ import annotations

from pathlib import Path

import apsw
import numpy as np
import pytest

from lookalike.wire.errors import DimensionMismatch
from search_service.domain.collection import DuplicatePolicy, DuplicateSettings
from search_service.domain.mutations import MutationStatus, Upsert
from search_service.domain.queries import QueryRequest
from search_service.domain.ranking import Ranking
from search_service.shard.shard import STORE, Shard
from search_service.store import schema
from search_service.store.schema import open_reader
from tests.unit.search_service.shard.kit import (
    build,
    create,
    make_spec,
    random_units,
    reopen,
    seal,
    unit,
)
from tests.unit.search_service.shard.several import DIMENSION, VECTORS, checked, item


def form(directory: Path) -> int:
    db = open_reader(directory / STORE, "")
    try:
        return int(db.pragma("user_version"))
    finally:
        db.close()


def test_a_store_has_the_format_of_earlier_releases_until_an_item_has_several(
    tmp_path: Path,
) -> None:
    shard = create(tmp_path, make_spec(DIMENSION))
    shard.submit([item("one", [0])]).result(30)
    assert form(tmp_path) not in schema.SEVERAL_FORMATS

    shard.submit([item("two", [1, 2])]).result(30)
    assert form(tmp_path) in schema.SEVERAL_FORMATS
    shard.close()

    again = reopen(tmp_path)
    assert again.count(None) == 2
    again.close()


def test_items_whose_vectors_fill_the_top_leave_room_for_others(tmp_path: Path) -> None:
    """Sixty-four vectors next to the query are one hit; graph, codes and head alike."""
    vectors = random_units(3_000, 8, seed=5)
    crowd = [vectors[0], *np.repeat(vectors[:1], 63, axis=0)]
    shard = create(tmp_path, make_spec(8))
    mutations = [Upsert(f"{n:04}", vectors[n], {"odd": n % 2}) for n in range(3_000)]
    mutations += [
        Upsert(f"crowd-{n}", crowd[0], {"odd": 2}, further=tuple(crowd[1:])) for n in range(3)
    ]
    shard.submit(mutations).result(60)

    def check(shard: Shard) -> None:
        for options in ({}, {"exact": True}, {"min_score": -0.5}):
            request = QueryRequest(vectors[:1], limit=12, **options)
            hits = shard.query(request).result(60)[0].hits
            want = np.sort(-(vectors.astype(np.float64) @ vectors[0]))[1:9]
            assert [hit.id for hit in hits[:4]] == ["0000", "crowd-0", "crowd-1", "crowd-2"]
            np.testing.assert_allclose([-hit.score for hit in hits[4:]], want, atol=1e-6)

    check(shard)
    shard = seal(shard, tmp_path)
    check(shard)
    build(shard)
    check(shard)
    shard.close()


def test_all_vectors_of_an_item_are_held_to_the_dimension(tmp_path: Path) -> None:
    shard = create(tmp_path, make_spec(DIMENSION))
    wrong = Upsert("a", VECTORS[0], further=(VECTORS[1], unit(1, 0)))
    assert isinstance(shard.submit([wrong]).result(30)[0].error, DimensionMismatch)
    assert shard.count(None) == 0
    shard.close()


def test_a_duplicate_of_any_vector_is_met(tmp_path: Path) -> None:
    policy = DuplicateSettings(DuplicatePolicy.REJECT, 0.99)
    shard = create(tmp_path, make_spec(DIMENSION, duplicates=policy))
    axes = np.eye(DIMENSION, dtype=np.float32)
    first = Upsert("a", axes[0], further=(axes[1],))
    assert shard.submit([first]).result(30)[0].status is MutationStatus.APPLIED
    # Another's further vector is like a further one that is stored, or stored just before.
    again = Upsert("b", axes[2], further=(axes[1],))
    fresh = Upsert("c", axes[3])
    like_fresh = Upsert("d", axes[2], further=(axes[3],))
    outcomes = shard.submit([again, fresh, like_fresh]).result(30)
    assert [outcome.near_duplicate and outcome.near_duplicate.id for outcome in outcomes] == [
        "a",
        None,
        "c",
    ]
    # Its own do not count.
    assert shard.submit([first]).result(30)[0].status is MutationStatus.APPLIED
    shard.close()


def test_variety_is_among_the_vectors_that_made_the_scores(tmp_path: Path) -> None:
    shard = create(tmp_path, make_spec(DIMENSION))
    near, alike, other = unit(1, 0.1, 0, 0), unit(1, 0.11, 0, 0), unit(1, 0, 0.9, 0)
    far = unit(0, 0, 0, 1)
    shard.submit(
        [
            Upsert("a", far, further=(near,)),
            Upsert("b", alike, further=(far,)),
            Upsert("c", other, further=(far,)),
        ]
    ).result(30)
    query = unit(1, 0.1, 0, 0)[None, :]
    hits = shard.query(QueryRequest(query, limit=2, ranking=Ranking(diversity=0.7))).result(30)
    assert [(hit.id, hit.matched) for hit in hits[0].hits] == [("a", 1), ("c", 0)]
    shard.close()


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM further_vectors WHERE ordinal = 2",
        "UPDATE further_vectors SET item = 77 WHERE ordinal = 2",
        "DELETE FROM vectors WHERE ordinal = 2",
        "UPDATE vectors SET vector = zeroblob(16) WHERE ordinal = 2",
    ],
)
def test_damage_of_further_vectors_is_found_and_the_rest_is_served(
    tmp_path: Path, damage: str
) -> None:
    shard = create(tmp_path, make_spec(DIMENSION))
    shard.submit([item("a", [0, 1, 2]), item("b", [3])]).result(30)
    shard.close()
    db = apsw.Connection(str(tmp_path / STORE))
    db.execute(damage)
    db.close()

    assert checked(tmp_path).damage != ""
    again = reopen(tmp_path)
    assert again.stats().store_damage != ""
    hits = again.query(QueryRequest(VECTORS[[3]], limit=2)).result(30)[0].hits
    assert hits[0].id == "b"
    again.close()
