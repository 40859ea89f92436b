"""A group of mutations leaves in the store what they would one by one."""

from __future__ import annotations

import tempfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from search_service.domain.collection import DuplicatePolicy, DuplicateSettings
from search_service.domain.items import Fields
from search_service.domain.mutations import (
    Delete,
    Mutation,
    MutationOutcome,
    NearDuplicate,
    UpdateMetadata,
    Upsert,
)
from search_service.shard.shard import STORE
from search_service.store import schema
from search_service.store.row_batch import ItemRow, RowBatch
from search_service.store.rules import Registers
from search_service.store.schema import open_reader
from tests.unit.search_service.shard.kit import SMALL, create, make_spec, random_units, reopen

DIMENSION = 4
VECTORS = random_units(6, DIMENSION)
TABLES = {
    "items": "id, ordinal, vector_version, metadata_version, delete_version, near_id, near_flagged",
    "vectors": "ordinal, vector",
    "details": "ordinal, metadata, facts",
    "thumbnails": "ordinal, thumbnail",
    "pending_metadata": "id, metadata",
    "rejections": "id, version, near_id",
}

ids = st.sampled_from(["a", "b", "c"])
# In any order, and the same one again.
versions = st.integers(1, 9)
facts = st.dictionaries(st.sampled_from("xy"), st.integers(0, 2), max_size=2)
upserts = st.builds(
    lambda id, row, metadata, thumbnail, version: Upsert(
        id, VECTORS[row], metadata, b"f", thumbnail, version
    ),
    ids,
    st.integers(0, len(VECTORS) - 1),
    facts,
    st.sampled_from([b"", b"webp"]),
    versions,
)
mutations = st.one_of(
    upserts, st.builds(UpdateMetadata, ids, facts, versions), st.builds(Delete, ids, versions)
)


def after(parts: list[list[Mutation]], policy: DuplicatePolicy) -> tuple[object, object]:
    """Return what is told of mutations, each part submitted at once, and all tables."""
    spec = make_spec(DIMENSION, DuplicateSettings(policy, 0.99))
    told: list[MutationOutcome] = []
    with tempfile.TemporaryDirectory(prefix="group-") as name:
        shard = create(Path(name), spec, SMALL)
        for part in parts:
            told += shard.submit(part).result(30)
        shard.close()
        with closing(open_reader(Path(name) / STORE, "")) as db:
            tables = {
                table: list(db.execute(f"SELECT {columns} FROM {table} ORDER BY 1, 2"))
                for table, columns in TABLES.items()
            }
    return [replace(outcome, error=None) for outcome in told], tables


@pytest.mark.parametrize("policy", [DuplicatePolicy.OFF, DuplicatePolicy.REJECT])
@given(changes=st.lists(mutations, min_size=2, max_size=10))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_group_is_as_its_mutations_one_by_one(
    policy: DuplicatePolicy, changes: list[Mutation]
) -> None:
    assert after([changes], policy) == after([[change] for change in changes], policy)


def test_a_group_of_many_is_stored_whole(tmp_path: Path) -> None:
    """More than one statement holds, and not a multiple of it."""
    shard = create(tmp_path)
    vectors = random_units(1_000, 8)
    upserts = [
        Upsert(f"item-{row}", vectors[row], {"row": row}, b"f%d" % row, b"w" * (row % 3))
        for row in range(len(vectors))
    ]
    shard.submit(upserts[:777]).result(30)
    mixed: list[Mutation] = [Delete(f"item-{row}") for row in range(0, 777, 7)]
    shard.submit([*upserts[777:], *mixed, *upserts[:300]]).result(30)
    shard.close()
    shard = reopen(tmp_path)
    fields = Fields(metadata=True, facts=True, thumbnail=True, vector=True)
    for row, item in enumerate(shard.get([one.id for one in upserts], fields)):
        if row >= 300 and row % 7 == 0 and row < 777:
            assert item is None
            continue
        assert item is not None
        assert (item.metadata, item.facts) == ({"row": row}, b"f%d" % row)
        assert item.thumbnail == b"w" * (row % 3)
        assert item.vector is not None
        assert item.vector.tolist() == vectors[row].tolist()
    shard.close()


def test_a_batch_tells_what_is_put_before_it_is_written(tmp_path: Path) -> None:
    with closing(schema.create(tmp_path / STORE, make_spec(), "")) as db, db:
        batch = RowBatch(db, ["a", "a", "b"])
        assert batch.row("a") == ItemRow("a")
        assert batch.metadata("a") == b"{}"
        batch.reject("a", 3, NearDuplicate("b", 0.5))
        assert batch.rejection("a", 3) == NearDuplicate("b", 0.5)
        row = ItemRow("a", Registers(1, 1, 0))
        batch.set_metadata(row, b'{"k":1}')
        batch.put(row)
        assert (batch.row("a"), batch.metadata("a")) == (row, b'{"k":1}')
        batch.flush(now_us=1)
        later = RowBatch(db, ["a"])
        assert (later.row("a"), later.metadata("a")) == (row, b'{"k":1}')
        assert later.rejection("a", 3) == NearDuplicate("b", 0.5)
        later.forget("a")
        assert later.metadata("a") == b"{}"
        assert RowBatch(db, ["a"]).metadata("a") == b"{}"
