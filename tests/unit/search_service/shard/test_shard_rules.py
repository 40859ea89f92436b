"""Which mutation wins must not depend on the order of arrival."""

from __future__ import annotations

import itertools
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from search_service.domain.items import Fields
from search_service.domain.mutations import Delete, Mutation, MutationStatus, UpdateMetadata, Upsert
from search_service.store.rules import Registers, judge_delete, judge_metadata, judge_upsert
from tests.unit.search_service.shard.kit import create, unit

EVERYTHING = Fields(metadata=True, vector=True)


def make(kind: str, id: str, version: int) -> Mutation:
    if kind == "upsert":
        return Upsert(id, unit(*([1.0] * 7), float(version)), {"by": version}, version=version)
    if kind == "keep":
        vector = unit(*([1.0] * 7), float(version))
        return Upsert(id, vector, version=version, keep_metadata=True)
    if kind == "metadata":
        return UpdateMetadata(id, {"by": version}, version=version)
    return Delete(id, version=version)


def held_after(kinds: tuple[str, ...]) -> tuple[int | None, int | None]:
    """The vector's and the metadata's version that must be left, by definition."""
    versions = dict(enumerate(kinds, start=1))
    deleted = max((v for v, kind in versions.items() if kind == "delete"), default=0)
    pictures = [v for v, k in versions.items() if k in ("upsert", "keep") and v > deleted]
    told = [v for v, k in versions.items() if k in ("upsert", "metadata") and v > deleted]
    return max(pictures, default=None), max(told, default=None)


def test_every_order_of_arrival_gives_the_same_item(tmp_path: Path) -> None:
    shard = create(tmp_path)
    checked = 0
    for kinds in itertools.product(("upsert", "keep", "metadata", "delete"), repeat=4):
        for number, order in enumerate(itertools.permutations(range(1, 5))):
            id = f"{'-'.join(kinds)}-{number}"
            shard.submit([make(kinds[v - 1], id, v) for v in order]).result(30)
            (item,) = shard.get([id], EVERYTHING)
            vector, metadata = held_after(kinds)
            if vector is None:
                assert item is None, (kinds, order)
            else:
                assert item is not None, (kinds, order)
                told = {} if metadata is None else {"by": metadata}
                assert item.metadata == told, (kinds, order)
                assert item.vector is not None
                assert item.vector.tolist() == unit(*([1.0] * 7), float(vector)).tolist()
            checked += 1
    shard.close()
    assert checked == 256 * 24


def test_a_mutation_that_comes_again_changes_nothing(tmp_path: Path) -> None:
    shard = create(tmp_path)
    for kind in ("upsert", "keep", "metadata", "delete"):
        mutations = [make("upsert", kind, 1), make(kind, kind, 2)]
        shard.submit(mutations).result(30)
        before = shard.get([kind], EVERYTHING)
        again = shard.submit([mutations[1]]).result(30)
        assert [outcome.status for outcome in again] == [MutationStatus.APPLIED]
        assert repr(shard.get([kind], EVERYTHING)) == repr(before)
    shard.close()


versions = st.integers(min_value=0, max_value=9)
registers = st.builds(Registers, versions, versions, versions)


@given(held=registers, version=st.integers(min_value=1, max_value=9))
def test_what_is_outranked_changes_nothing_and_names_what_outranks_it(
    held: Registers, version: int
) -> None:
    for judge in (judge_upsert, judge_metadata, judge_delete):
        verdict = judge(held, version)
        if verdict.status is MutationStatus.SUPERSEDED:
            assert not (verdict.writes_vector)
            if verdict.writes_metadata:  # of an upsert, where a newer one kept metadata
                assert judge is judge_upsert
                assert max(held.metadata, held.delete) < version < held.vector
            assert not (verdict.deletes)
            assert verdict.version >= version
            assert verdict.version in (held.vector, held.metadata, held.delete)


def test_an_upsert_that_keeps_metadata_writes_the_vector_alone() -> None:
    verdict = judge_upsert(Registers(vector=5, metadata=5), 6, keeps_metadata=True)
    assert verdict.writes_vector
    assert not verdict.writes_metadata
    ahead = Registers(vector=6, metadata=2)
    assert judge_upsert(ahead, 4).writes_metadata
    assert not judge_upsert(ahead, 4, keeps_metadata=True).writes_metadata
    assert judge_delete(ahead, 4).clears_metadata
    assert not judge_delete(Registers(vector=6, metadata=5), 4).clears_metadata


def test_statuses() -> None:
    live = Registers(vector=5, metadata=7)
    gone = Registers(vector=5, metadata=5, delete=8)
    assert judge_upsert(live, 6).writes_vector
    assert not judge_upsert(live, 6).writes_metadata
    assert judge_upsert(gone, 8).status is MutationStatus.SUPERSEDED
    assert judge_metadata(live, 6).status is MutationStatus.SUPERSEDED
    assert judge_metadata(gone, 9).status is MutationStatus.NOT_FOUND
    assert judge_metadata(gone, 9).writes_metadata
    assert judge_delete(live, 4).status is MutationStatus.SUPERSEDED
    assert judge_delete(live, 5).status is MutationStatus.APPLIED
    assert judge_delete(gone, 9).status is MutationStatus.NOT_FOUND
