"""The near-duplicate verdict in the acknowledgement."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lookalike.wire.vectors import F32
from search_service.domain.collection import CollectionSpec, DuplicatePolicy, DuplicateSettings
from search_service.domain.items import Fields
from search_service.domain.mutations import Delete, MutationStatus, UpdateMetadata, Upsert
from tests.unit.search_service.shard.kit import create, make_spec, random_units, reopen, unit

BASE = (1.0, 0, 0, 0, 0, 0, 0, 0)


def near_base(angle: float) -> F32:
    return unit(1.0, angle, 0, 0, 0, 0, 0, 0)


def spec(policy: DuplicatePolicy, threshold: float = 0.99) -> CollectionSpec:
    return make_spec(8, DuplicateSettings(policy, threshold))


def test_reject_stores_nothing_and_answers_the_same_again(tmp_path: Path) -> None:
    shard = create(tmp_path, spec(DuplicatePolicy.REJECT))
    shard.submit([Upsert("a", unit(*BASE))]).result(60)
    copy = Upsert("b", near_base(0.01), version=50)
    first = shard.submit([copy]).result(60)[0]
    assert first.status is MutationStatus.REJECTED_DUPLICATE
    assert first.near_duplicate is not None
    assert first.near_duplicate.id == "a"
    assert first.near_duplicate.score == pytest.approx(0.99995, abs=1e-5)
    shard.submit([Delete("a")]).result(60)
    assert shard.submit([copy]).result(60)[0] == first
    shard.close()
    shard = reopen(tmp_path)
    assert shard.submit([copy]).result(60)[0] == first
    assert shard.count(None) == 0
    shard.close()


def test_an_upsert_may_override_the_policy_also_after_it_was_rejected(tmp_path: Path) -> None:
    shard = create(tmp_path, spec(DuplicatePolicy.REJECT))
    shard.submit([Upsert("a", unit(*BASE))]).result(60)
    copy = Upsert("b", near_base(0.01), version=50)
    assert shard.submit([copy]).result(60)[0].status is MutationStatus.REJECTED_DUPLICATE
    accepted = replace(copy, duplicate_policy=DuplicatePolicy.ACCEPT)
    flagged = replace(copy, id="c", version=51, duplicate_policy=DuplicatePolicy.FLAG)
    unasked = replace(copy, id="d", version=52, duplicate_policy=DuplicatePolicy.OFF)
    outcomes = shard.submit([accepted, flagged, unasked]).result(60)
    assert [one.status for one in outcomes] == [MutationStatus.APPLIED] * 3
    assert [one.near_duplicate is not None for one in outcomes] == [True, True, False]
    stored = shard.get(["b", "c", "d"], Fields())
    flags = [item.near_duplicate_of != "" for item in stored if item is not None]
    assert flags == [False, True, False]
    shard.close()


def test_one_that_asks_for_no_verdict_is_what_later_ones_are_compared_with(tmp_path: Path) -> None:
    shard = create(tmp_path, spec(DuplicatePolicy.FLAG))
    group = [
        Upsert("a", unit(*BASE)),
        Upsert("b", unit(0, 1, 0, 0, 0, 0, 0, 0), duplicate_policy=DuplicatePolicy.OFF),
        Upsert("like-a", near_base(0.01)),
        Upsert("like-b", unit(0.01, 1, 0, 0, 0, 0, 0, 0)),
    ]
    outcomes = shard.submit(group).result(60)
    near = [each.near_duplicate.id if each.near_duplicate else "" for each in outcomes]
    assert near == ["", "", "a", "b"]
    shard.close()


def test_an_upsert_may_ask_to_be_rejected_where_others_are_kept(tmp_path: Path) -> None:
    shard = create(tmp_path, spec(DuplicatePolicy.ACCEPT))
    strict = Upsert("b", near_base(0.01), duplicate_policy=DuplicatePolicy.REJECT)
    outcomes = shard.submit([Upsert("a", unit(*BASE)), strict, Upsert("c", near_base(0.02))])
    assert [one.status for one in outcomes.result(60)] == [
        MutationStatus.APPLIED,
        MutationStatus.REJECTED_DUPLICATE,
        MutationStatus.APPLIED,
    ]
    shard.close()


def test_the_version_of_the_vector_is_told_beside_that_of_the_metadata(tmp_path: Path) -> None:
    shard = create(tmp_path, spec(DuplicatePolicy.OFF))
    shard.submit([Upsert("a", unit(*BASE), version=5)]).result(60)
    shard.submit([UpdateMetadata("a", {"label": "x"}, version=9)]).result(60)
    (item,) = shard.get(["a"], Fields(metadata=True))
    assert item is not None
    assert (item.vector_version, item.version, item.metadata) == (5, 9, {"label": "x"})
    shard.close()


def test_a_rejected_replacement_leaves_the_old_item(tmp_path: Path) -> None:
    shard = create(tmp_path, spec(DuplicatePolicy.REJECT))
    shard.submit([Upsert("a", unit(*BASE)), Upsert("b", unit(0, 1, 0, 0, 0, 0, 0, 0))]).result(60)
    again = shard.submit([Upsert("b", near_base(0.02), {"new": True})]).result(60)[0]
    assert again.status is MutationStatus.REJECTED_DUPLICATE
    (item,) = shard.get(["b"], Fields(metadata=True, vector=True))
    assert item is not None
    assert item.metadata == {}
    assert item.vector is not None
    assert item.vector.tolist() == [0, 1, 0, 0, 0, 0, 0, 0]
    shard.close()


def test_an_item_is_no_duplicate_of_itself(tmp_path: Path) -> None:
    shard = create(tmp_path, spec(DuplicatePolicy.REJECT))
    for _ in range(2):
        outcome = shard.submit([Upsert("a", unit(*BASE))]).result(60)[0]
        assert outcome.status is MutationStatus.APPLIED
    shard.close()


def test_earlier_items_of_the_same_group_count(tmp_path: Path) -> None:
    shard = create(tmp_path, spec(DuplicatePolicy.REJECT))
    outcomes = shard.submit(
        [
            Upsert("a", unit(*BASE)),
            Upsert("b", near_base(0.01)),
            Delete("a"),
            Upsert("c", near_base(0.02)),
            Upsert("d", near_base(0.03)),
        ]
    ).result(60)
    applied, rejected = MutationStatus.APPLIED, MutationStatus.REJECTED_DUPLICATE
    assert [outcome.status for outcome in outcomes] == [
        applied,
        rejected,
        applied,
        applied,
        rejected,
    ]
    assert outcomes[4].near_duplicate is not None
    assert outcomes[4].near_duplicate.id == "c"
    shard.close()


def test_flag_keeps_the_verdict_with_the_item(tmp_path: Path) -> None:
    shard = create(tmp_path, spec(DuplicatePolicy.FLAG))
    shard.submit([Upsert("a", unit(*BASE))]).result(60)
    copy = Upsert("b", near_base(0.01), version=77)
    first = shard.submit([copy]).result(60)[0]
    assert first.status is MutationStatus.APPLIED
    assert first.near_duplicate is not None
    assert shard.submit([copy]).result(60)[0].near_duplicate == first.near_duplicate
    (item,) = shard.get(["b"], Fields())
    assert item is not None
    assert item.near_duplicate_of == "a"
    shard.close()


@pytest.mark.parametrize(
    ("policy", "told"), [(DuplicatePolicy.ACCEPT, True), (DuplicatePolicy.OFF, False)]
)
def test_accept_tells_and_off_does_not_look(
    tmp_path: Path, policy: DuplicatePolicy, told: bool
) -> None:
    shard = create(tmp_path, spec(policy))
    shard.submit([Upsert("a", unit(*BASE))]).result(60)
    outcome = shard.submit([Upsert("b", near_base(0.01))]).result(60)[0]
    assert outcome.status is MutationStatus.APPLIED
    assert (outcome.near_duplicate is not None) is told
    (item,) = shard.get(["b"], Fields())
    assert item is not None
    assert item.near_duplicate_of == ""
    shard.close()


def test_neighbours_that_go_in_the_same_group_do_not_hide_one_that_stays(tmp_path: Path) -> None:
    shard = create(tmp_path, spec(DuplicatePolicy.ACCEPT, 0.9))
    close = [Upsert(f"close-{number:02d}", near_base(number / 1_000)) for number in range(20)]
    shard.submit([*close, Upsert("stays", near_base(0.2))]).result(60)
    outcomes = shard.submit(
        [*(Delete(one.id) for one in close), Upsert("new", unit(*BASE))]
    ).result(60)
    assert outcomes[-1].near_duplicate is not None
    assert outcomes[-1].near_duplicate.id == "stays"
    shard.close()


def test_the_nearest_of_several_is_named(tmp_path: Path) -> None:
    vectors = random_units(400, 8)
    shard = create(tmp_path, spec(DuplicatePolicy.ACCEPT, 0.5))
    outcomes = shard.submit(
        [Upsert(f"i{row}", vector) for row, vector in enumerate(vectors)]
    ).result(30)
    for row in range(1, 400, 13):
        scores = vectors[:row] @ vectors[row]
        near = outcomes[row].near_duplicate
        if scores.max() < 0.5:
            assert near is None
            continue
        assert near is not None
        assert near.score == pytest.approx(scores.max(), abs=1e-6)
        assert near.id == f"i{scores.argmax()}"
    shard.close()
