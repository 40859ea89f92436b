"""Decisions on duplicates and lists of known hashes go with a snapshot."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import apsw
import pytest

from lookalike.wire.errors import SnapshotInvalid, Unavailable
from search_service.snapshots import archive
from search_service.snapshots.manifest import MANIFEST, Manifest, decode, encode
from search_service.store.known_hashes import KnownHash, KnownHashes
from search_service.store.reviews import Decision, Reviews
from tests.unit.search_service.snapshots.rig import (
    NAME,
    UID,
    Rig,
    content,
    nothing_half_made,
    opened,
    whole_archive,
)

DECISIONS = [Decision("a", "", "keep", 5), Decision("a", "b", "different", 6)]
HASHES = [KnownHash(bytes([n]) * 32, n if n else None, f"h{n}", "", 7) for n in range(3)]


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with opened(tmp_path / "one") as rig:
        yield rig


def directory(tmp_path: Path, uid: str = UID) -> Path:
    return tmp_path / "one" / "collections" / uid


def fill(tmp_path: Path) -> None:
    Reviews(directory(tmp_path)).decide(DECISIONS, [])
    KnownHashes(directory(tmp_path)).put(HASHES)


def forged(data: bytes, name: str, content: bytes) -> bytes:
    """Return an archive with another file of a name, and checksums that fit."""
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        files = {each.name: tar.extractfile(each).read() for each in tar}  # type: ignore[union-attr] # all are files
    manifest: Manifest = decode(files.pop(MANIFEST))
    files[name] = content
    entries = tuple(
        replace(each, size=len(files[each.name]), sha256=sha256(files[each.name]).hexdigest())
        for each in manifest.files
    )
    manifest = replace(manifest, files=entries)
    parts = [(MANIFEST, encode(manifest)), *((each.name, files[each.name]) for each in entries)]
    out = b""
    for each, body in parts:
        info = tarfile.TarInfo(each)
        info.size, info.mtime = len(body), manifest.create_time_us // 1_000_000
        out += info.tobuf(tarfile.GNU_FORMAT) + body + bytes(-len(body) % tarfile.BLOCKSIZE)
    out += bytes(2 * tarfile.BLOCKSIZE)
    assert len(out) == archive.archive_bytes(manifest)
    return out


def test_they_are_restored_as_they_were_taken(rig: Rig, tmp_path: Path) -> None:
    fill(tmp_path)
    taken = rig.snapshots.create(NAME)
    Reviews(directory(tmp_path)).decide([Decision("z", "", "ignore", 8)], [("a", "")])
    KnownHashes(directory(tmp_path)).remove(None)
    uid, _ = rig.snapshots.restore(taken.id, "restored")
    assert Reviews(directory(tmp_path, uid)).all() == DECISIONS
    assert KnownHashes(directory(tmp_path, uid)).page(b"", 9) == HASHES
    # Each collection has its own.
    Reviews(directory(tmp_path, uid)).decide([], [("a", "b")])
    assert rig.snapshots.restore(taken.id, "again")[0]
    assert [each.id for each in Reviews(directory(tmp_path)).all()] == ["a", "z"]


def test_an_archive_carries_them_elsewhere(rig: Rig, tmp_path: Path) -> None:
    fill(tmp_path)
    data = whole_archive(rig)
    with opened(tmp_path / "two") as other:
        snapshot, there = other.snapshots.upload(iter([data]))
        assert (snapshot.id, there) == (rig.snapshots.list()[0].id, False)
        assert b"".join(other.snapshots.download(snapshot.id)) == data
        uid, _ = other.snapshots.restore(snapshot.id, "restored")
        assert content(other.shard("restored")) == content(rig.shard())
        path = tmp_path / "two" / "collections" / uid
        assert Reviews(path).all() == DECISIONS
        assert KnownHashes(path).page(b"", 9) == HASHES


def test_a_snapshot_without_them_has_the_format_that_older_releases_read(rig: Rig) -> None:
    assert b'"format":1' in encode(rig.snapshots.create(NAME).manifest)


def test_a_snapshot_with_them_has_a_format_of_its_own(rig: Rig, tmp_path: Path) -> None:
    fill(tmp_path)
    taken = rig.snapshots.create(NAME)
    data = encode(taken.manifest)
    assert b'"format":2' in data
    with tarfile.open(fileobj=io.BytesIO(b"".join(rig.snapshots.download(taken.id)))) as tar:
        assert tar.getnames()[:4] == [MANIFEST, "store.db", "reviews.db", "hashes.db"]
    with pytest.raises(SnapshotInvalid):
        decode(data.replace(b'"format":2', b'"format":1'))


@pytest.mark.parametrize(
    ("name", "statement"),
    [
        ("reviews.db", "INSERT INTO decisions VALUES ('c', 'd', 'perhaps', 1)"),
        ("reviews.db", "INSERT INTO decisions VALUES ('c', '', 'duplicate', 1)"),
        ("reviews.db", "INSERT INTO decisions VALUES (x'ff', '', 'keep', 1)"),
        ("reviews.db", "CREATE VIEW extra AS SELECT 1"),
        ("reviews.db", "PRAGMA user_version = 9"),
        ("hashes.db", "INSERT INTO hashes VALUES (x'00', 1, '', '', 1)"),
        ("hashes.db", "UPDATE hashes SET quality = 'good'"),
        ("hashes.db", "PRAGMA application_id = 7"),
    ],
)
def test_a_made_up_file_is_refused(rig: Rig, tmp_path: Path, name: str, statement: str) -> None:
    fill(tmp_path)
    data = whole_archive(rig)
    path = tmp_path / name
    path.write_bytes((directory(tmp_path) / name).read_bytes())
    with opened(tmp_path / "two") as other:
        other.snapshots.upload(iter([forged(data, name, path.read_bytes())]))
        db = apsw.Connection(str(path))
        db.execute(statement)
        db.close()
        for content in (path.read_bytes(), path.read_bytes()[:3_000], b"nothing"):
            with pytest.raises(SnapshotInvalid, match=name):
                other.snapshots.upload(iter([forged(data, name, content)]))
        assert nothing_half_made(tmp_path / "two", other)


def test_a_damaged_file_is_told_and_nothing_is_taken(rig: Rig, tmp_path: Path) -> None:
    fill(tmp_path)
    (directory(tmp_path) / "reviews.db").write_bytes(b"no database" * 1_000)
    with pytest.raises(Unavailable, match=r"reviews\.db, is damaged"):
        rig.snapshots.create(NAME)
    assert nothing_half_made(tmp_path / "one", rig)
