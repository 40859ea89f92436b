"""What a store promises: durable, of its own form, and honest when the disk is not."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import apsw
import numpy as np
import pytest

from lookalike.wire.errors import (
    DimensionMismatch,
    Exhausted,
    InvalidField,
    Reason,
    Unavailable,
)
from search_service.domain.collection import (
    Calibration,
    CalibrationMode,
    ConstrainedMeasure,
    DuplicatePolicy,
    DuplicateSettings,
    SettingsChange,
)
from search_service.domain.items import Fields
from search_service.domain.mutations import Delete, MutationStatus, UpdateMetadata, Upsert
from search_service.shard.shard import STORE
from search_service.store import schema
from search_service.store import vectors as vectors_of_store
from tests.unit.search_service.shard.faulty_disk import faulty_disk
from tests.unit.search_service.shard.kit import (
    SMALL,
    create,
    fill,
    random_units,
    reopen,
    search,
    unit,
)

VECTORS = random_units(200, 8)


def test_what_was_stored_is_there_after_reopening(tmp_path: Path) -> None:
    shard = create(tmp_path)
    shard.submit([Upsert("a", VECTORS[0], {"k": [1, "x"]}, b"facts", b"webp")]).result(60)
    decision = Calibration(
        threshold=0.875,
        model_fingerprint="",
        mode=CalibrationMode.BOUND,
        measure=ConstrainedMeasure.PRECISION,
        value=0.99,
        confidence=0.95,
        images=500,
        gallery_items=1,
        create_time_us=1,
    )
    spec = shard.update_settings(
        SettingsChange(DuplicateSettings(DuplicatePolicy.FLAG, 0.9), 77, decision)
    )
    shard.close()
    shard = reopen(tmp_path)
    (item,) = shard.get(["a"], Fields(metadata=True, facts=True, thumbnail=True, vector=True))
    assert item is not None
    assert (item.metadata, item.facts, item.thumbnail) == ({"k": [1, "x"]}, b"facts", b"webp")
    assert item.vector is not None
    assert item.vector.tolist() == VECTORS[0].tolist()
    assert shard.spec == spec
    assert (spec.index.expansion_search, spec.calibration) == (77, decision)
    shard.close()


def test_versions_grow_across_restarts_and_past_those_that_senders_chose(tmp_path: Path) -> None:
    seen: list[int] = []
    for _ in range(3):
        shard = create(tmp_path) if not seen else reopen(tmp_path)
        seen += shard.reserve_versions(3)
        seen.append(shard.submit([Upsert("a", VECTORS[0])]).result(60)[0].version)
        seen += shard.reserve_versions(70_000)[-1:]
        shard.submit([Upsert("b", VECTORS[1], version=seen[-1] + 10**6)]).result(60)
        assert shard.reserve_versions(1)[0] > seen[-1] + 10**6
        shard.close()
    assert seen == sorted(set(seen))


def test_versions_that_threads_reserve_never_meet(tmp_path: Path) -> None:
    shard = create(tmp_path)
    taken: list[range] = []
    threads = [
        threading.Thread(
            target=lambda: taken.extend(shard.reserve_versions(9_000) for _ in range(6))
        )
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    shard.close()
    assert len(set().union(*taken)) == 24 * 9_000


def test_ordinals_are_not_used_again_after_a_restart(tmp_path: Path) -> None:
    shard = create(tmp_path)
    fill(shard, VECTORS[:5])
    shard.submit([Delete("item-4")]).result(60)
    shard.close()
    shard = reopen(tmp_path)
    shard.submit([Upsert("new", VECTORS[9])]).result(60)
    shard.close()
    with apsw.Connection(str(tmp_path / STORE)) as db:
        assert db.execute("SELECT ordinal FROM items WHERE id = 'new'").get == 6
    db.close()


def test_what_is_wrong_with_one_mutation_leaves_the_others(tmp_path: Path) -> None:
    shard = create(tmp_path)
    outcomes = shard.submit(
        [
            Upsert("good", VECTORS[0]),
            Upsert("short", VECTORS[0][:3]),
            Upsert("odd", VECTORS[0], {"n": 2**70}),
            Delete("late", version=2**63),
            UpdateMetadata("good", {"x": 1}),
        ]
    ).result(60)
    kinds = [type(outcome.error) for outcome in outcomes]
    assert kinds == [type(None), DimensionMismatch, InvalidField, InvalidField, type(None)]
    assert shard.count(None) == 1
    shard.close()


def test_tombstones_are_kept_until_pruned(tmp_path: Path) -> None:
    shard = create(tmp_path)
    shard.submit([Upsert("a", VECTORS[0], version=5), Delete("a", version=9)]).result(60)
    late = Upsert("a", VECTORS[1], version=7)
    assert shard.submit([late]).result(60)[0].status is MutationStatus.SUPERSEDED
    assert shard.prune_tombstones(9) == 0
    assert shard.prune_tombstones(10) == 1
    assert shard.submit([late]).result(60)[0].status is MutationStatus.APPLIED
    shard.close()


@pytest.mark.parametrize("content", [b"", b"not a database" * 100])
def test_files_that_are_no_store_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / STORE).write_bytes(content)
    with pytest.raises(Unavailable) as caught:
        reopen(tmp_path)
    assert caught.value.reason is Reason.STORE_FAILED


def test_a_missing_store_is_refused_and_not_made(tmp_path: Path) -> None:
    with pytest.raises(Unavailable):
        reopen(tmp_path)
    assert not (tmp_path / STORE).exists()


def test_a_store_of_another_format_is_refused_and_named(tmp_path: Path) -> None:
    create(tmp_path).close()
    db = apsw.Connection(str(tmp_path / STORE))
    unknown = max(schema.READABLE_FORMATS) + 1
    db.pragma("user_version", unknown)
    db.close()
    with pytest.raises(Unavailable, match=f"format {unknown}"):
        reopen(tmp_path)


def test_the_write_queue_is_bounded(tmp_path: Path) -> None:
    shard = create(tmp_path, options=replace(SMALL, max_queued_mutations=100))
    batch = [Upsert(f"i{row}", VECTORS[row]) for row in range(60)]
    futures = [shard.submit(batch) for _ in range(200)]
    errors = [error for future in futures if (error := future.exception(60)) is not None]
    assert 0 < len(errors) < 200
    assert all(isinstance(error, Exhausted) for error in errors)
    shard.close()


def test_writes_wait_for_the_builder_past_the_unindexed_bound(tmp_path: Path) -> None:
    shard = create(tmp_path, options=replace(SMALL, unindexed_limit=50))
    fill(shard, VECTORS[:60])
    with pytest.raises(Exhausted, match="indexed"):
        shard.submit([Upsert("more", VECTORS[0])]).result(60)
    assert shard.submit([Delete("item-0")]).result(60)[0].error is None
    shard.close()


def test_after_an_fsync_error_nothing_more_is_acknowledged(tmp_path: Path) -> None:
    stopped = threading.Event()
    with faulty_disk() as disk:
        options = replace(SMALL, vfs=disk.name)
        shard = create(tmp_path, options=options, on_fatal=stopped.set)
        fill(shard, VECTORS[:10])
        disk.fail_syncs = True
        futures = [shard.submit([Upsert(f"lost-{n}", VECTORS[20 + n])]) for n in range(5)]
        for future in futures:
            error = future.exception(60)
            assert isinstance(error, Unavailable)
            assert error.reason is Reason.STORE_FAILED
        assert stopped.wait(60)
        assert disk.failed_syncs == 1, "an fsync that failed must not be tried again"
        disk.fail_syncs = False
        with pytest.raises(Unavailable):
            shard.submit([Upsert("later", VECTORS[0])]).result(60)
        with pytest.raises(Unavailable):
            shard.prune_tombstones(1)
        assert search(shard, VECTORS[3], limit=1)[0].id == "item-3"
        shard.close()
        shard = reopen(tmp_path, options)
        assert {f"item-{row}" for row in range(10)} <= {
            item.id
            for item in shard.list_items(filter=None, after_id="", page_size=100, fields=Fields())
        }
        shard.close()


def test_an_fsync_error_in_a_checkpoint_is_fatal_too(tmp_path: Path) -> None:
    stopped = threading.Event()
    with faulty_disk() as disk:
        options = replace(SMALL, vfs=disk.name, checkpoint_pages=20)
        shard = create(tmp_path, options=options, on_fatal=stopped.set)
        number = 0
        while not stopped.is_set():
            number += 1
            disk.fail_syncs = number == 30
            shard.submit([Upsert(f"i{number}", VECTORS[number % 200])]).exception(60)
            assert number < 200
        shard.close()


def test_a_full_disk_refuses_upserts_and_goes_on_with_deletes(tmp_path: Path) -> None:
    with faulty_disk() as disk:
        options = replace(SMALL, vfs=disk.name)
        shard = create(tmp_path, options=options)
        fill(shard, VECTORS[:100])
        disk.room_bytes = 100_000
        refused = 0
        for number in range(100):
            future = shard.submit([Upsert(f"more-{number}", VECTORS[100], {"t": "x" * 9_000})])
            error = future.exception(30)
            if error is not None:
                assert isinstance(error, Exhausted)
                assert error.reason is Reason.DISK_FULL
                refused += 1
        assert refused > 50
        # The room that the given-up ballast would have left on a real disk.
        disk.room_bytes += 200_000
        mixed = shard.submit([Delete("item-1"), Upsert("item-2", VECTORS[3])]).result(30)
        assert mixed[0].status is MutationStatus.APPLIED
        assert mixed[1].error is not None
        assert search(shard, VECTORS[2], limit=1)[0].id == "item-2"
        assert shard.count(None) == 100 + (100 - refused) - 1
        disk.room_bytes = None
        deadline = threading.Event()
        for _ in range(100):
            if shard.submit([Upsert("back", VECTORS[5])]).exception(30) is None:
                break
            deadline.wait(0.05)
        assert shard.get(["back"], Fields())[0] is not None
        shard.close()


def test_a_head_vector_is_a_copy_that_senders_cannot_change(tmp_path: Path) -> None:
    shard = create(tmp_path)
    vector = np.array(VECTORS[0])
    shard.submit([Upsert("a", vector)]).result(60)
    vector[:] = unit(1, 0, 0, 0, 0, 0, 0, 0)
    assert search(shard, VECTORS[0])[0].score == 1.0
    shard.close()


def test_any_id_is_the_same_after_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vectors_of_store, "IDS_PER_READ", 3)
    ids = ["plain", 'a"quote', "back\\slash", "new\nline", "nul\0", "\x7f\x1f", "émoji 🖼", "4", "x"]
    vectors = random_units(len(ids), 8, seed=8)
    shard = create(tmp_path)
    shard.submit([Upsert(id, vectors[row], {}) for row, id in enumerate(ids)]).result(60)
    shard.submit([Delete("new\nline"), Upsert("4", -vectors[7], {})]).result(60)
    shard.close()

    again = reopen(tmp_path)
    for row, id in enumerate(ids):
        if id not in ("new\nline", "4"):
            assert search(again, vectors[row])[0].id == id
    assert search(again, -vectors[7])[0].id == "4"
    assert again.stats().items == len(ids) - 1
    again.close()
