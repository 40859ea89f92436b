"""What earlier releases wrote is read, written on, and read again."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import apsw
import pytest

from lookalike.wire.errors import LookalikeError
from search_service.domain.mutations import Delete
from search_service.domain.queries import QueryRequest
from search_service.drift import files as drift_files
from search_service.ingest import ledger
from search_service.reembedding import pairs
from search_service.store.known_hashes import KnownHashes
from search_service.store.reviews import Reviews
from tests.golden import writing
from tests.unit.search_service.shard.kit import search
from tests.unit.search_service.snapshots.rig import UID, VECTORS, opened

GOLDEN = sorted(writing.HERE.glob("*.json"))
NEWEST = GOLDEN[-1]


def read(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return document


def unpacked(path: Path, root: Path) -> Path:
    with tarfile.open(fileobj=io.BytesIO(writing.content(read(path)["data"]))) as archive:
        archive.extractall(root, filter="data")
    return root


@pytest.fixture(params=GOLDEN, ids=lambda path: path.stem)
def golden(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


def test_each_version_of_a_format_has_a_golden_file() -> None:
    """Write one with `python -m tests.golden.writing`; those of earlier releases stay."""
    kept = [read(path)["formats"] for path in GOLDEN]

    assert set(kept[-1]) == set(writing.FORMATS)
    missing = {
        name: version
        for name, version in writing.FORMATS.items()
        if version not in [each.get(name) for each in kept]
    }
    assert missing == {}


def test_a_data_directory_is_read_and_written_on(golden: Path, tmp_path: Path) -> None:
    root = unpacked(golden, tmp_path)
    with opened(root) as rig:
        shard = rig.shard("live")  # an alias
        assert shard.count(None) == 339
        assert shard.stats().store_damage == ""
        assert shard.stats().segments == 1
        assert search(shard, VECTORS[5], limit=1)[0].id == "item-5"  # type: ignore[arg-type]  # the factory's shards are `Shard`
        assert not {"item-7", "item-311"} & {
            each.id
            for each in search(shard, VECTORS[7], limit=339)  # type: ignore[arg-type]  # as above
        }
        written = shard.submit(writing.upserts(500, 1)).result(60)
        assert written[0].error is None
    with opened(root) as rig:
        assert rig.shard().count(None) == 340


def test_a_snapshot_is_taken_in_and_restored(golden: Path, tmp_path: Path) -> None:
    archive = writing.content(read(golden)["snapshot"])
    with opened(tmp_path) as rig:
        snapshot, known = rig.snapshots.upload(iter([archive]))
        uid, items = rig.snapshots.restore(snapshot.id, "restored")
        restored = tmp_path / "collections" / uid
        beside = read(golden)["formats"]["snapshot"] > 1

        assert (known, items) == (False, 339)
        assert Reviews(restored).all() == ([writing.DECISION] if beside else [])
        assert KnownHashes(restored).page(b"", 9) == ([writing.HASH] if beside else [])
        assert search(rig.shard("restored"), VECTORS[5], limit=1)[0].id == "item-5"  # type: ignore[arg-type]  # as above


def test_what_stands_beside_a_store_is_read(golden: Path, tmp_path: Path) -> None:
    root = unpacked(golden, tmp_path)
    collection = root / "collections" / UID

    (decision,) = Reviews(collection).all()
    assert (decision.id, decision.other_id) == ("item-1", "item-2")
    if "hashes" in read(golden)["formats"]:
        assert KnownHashes(collection).page(b"", 9) == [writing.HASH]
    monitor = drift_files.load(collection / drift_files.FILE, "model-1", writing.DIMENSION, 1e6)
    assert monitor.queries == 0
    book = ledger.Ledger(str(root / "ingest.sqlite"))
    assert book.open == 1
    book.close()


def test_a_pair_of_collections_is_still_one(golden: Path, tmp_path: Path) -> None:
    root = unpacked(golden, tmp_path)
    with opened(root) as rig:
        found = pairs.Pairs(root / pairs.FILE, rig.catalog)
        found.open()
        noted = "pairs" in read(golden)["formats"]
        assert found.all() == ([pairs.Pair(UID, writing.PAIRED_UID)] if noted else [])


@pytest.mark.parametrize("path", [NEWEST], ids=lambda path: path.stem)
def test_vectors_by_name_are_read_and_written_on(path: Path, tmp_path: Path) -> None:
    assert "vectors by name" in read(path)["formats"]
    root = unpacked(path, tmp_path)
    request = QueryRequest(writing.STYLES[8:9], space=1, limit=2)
    with opened(root) as rig:
        shard = rig.shard("named")
        assert (shard.count(None), shard.stats().store_damage) == (20, "")
        (outcome,) = shard.query(request).result(60)
        assert [(hit.id, hit.matched) for hit in outcome.hits] == [("item-7", 1), ("item-8", 0)]
        written = shard.submit([Delete("item-7"), *writing.named(1)]).result(60)
        assert all(each.error is None for each in written)
    with opened(root) as rig:
        (outcome,) = rig.shard("named").query(request).result(60)
        assert outcome.hits[0].id == "item-8"
        assert rig.shard("named").count(None) == 19


def test_a_ledger_of_before_formats_were_noted_gets_one(tmp_path: Path) -> None:
    path = tmp_path / "ingest.sqlite"
    ledger.Ledger(str(path)).close()
    version(path, 0)

    ledger.Ledger(str(path)).close()

    assert version(path) == ledger.FORMAT


def test_a_ledger_of_a_later_release_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "ingest.sqlite"
    ledger.Ledger(str(path)).close()
    version(path, ledger.FORMAT + 1)

    with pytest.raises(LookalikeError, match="use the release that wrote it"):
        ledger.Ledger(str(path))

    assert version(path) == ledger.FORMAT + 1


def version(path: Path, new: int | None = None) -> int:
    """Return the format of a file of SQLite; set it first where `new` is given."""
    db = apsw.Connection(str(path))
    try:
        if new is not None:
            db.pragma("user_version", new)
        return int(db.pragma("user_version"))
    finally:
        db.close()
