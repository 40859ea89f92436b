"""Snapshots in one process: damage, foreign archives, writers, a full disk."""

import hashlib
import io
import random
import resource
import tarfile
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import apsw
import pytest

from lookalike.wire.errors import (
    Exhausted,
    LookalikeError,
    NotFound,
    Reason,
    SnapshotInvalid,
    Unavailable,
)
from search_service.snapshots import archive
from search_service.snapshots.manifest import MANIFEST, STORE, FileEntry, Manifest, decode, encode
from tests.unit.search_service.shard.kit import build, search
from tests.unit.search_service.snapshots.rig import (
    NAME,
    VECTORS,
    Rig,
    content,
    nothing_half_made,
    opened,
    whole_archive,
    write,
)


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with opened(tmp_path) as rig:
        yield rig


def test_segments_are_shared_and_searched_at_once(rig: Rig, tmp_path: Path) -> None:
    build(rig.shard())  # type: ignore[arg-type] # the factory's shards are `Shard`
    taken = rig.snapshots.create(NAME)
    assert taken.manifest.segments
    uid, items = rig.snapshots.restore(taken.id, "restored")
    shard = rig.shard("restored")
    assert (items, shard.stats().segments, shard.stats().head_vectors) == (300, 1, 0)
    assert search(shard, VECTORS[5], limit=1)[0].id == "item-5"  # type: ignore[arg-type] # as above
    rows = list((tmp_path / "collections" / uid).rglob("rows-*.f32"))
    assert rows
    assert all(path.stat().st_nlink == 3 for path in rows)  # collection, snapshot, restored
    write(shard, 1_000, 50)
    build(shard)  # type: ignore[arg-type] # as above
    rig.snapshots.delete(taken.id)
    assert search(rig.shard(), VECTORS[5], limit=1)[0].id == "item-5"  # type: ignore[arg-type] # as above


def test_a_snapshot_is_one_moment_while_writes_go_on(tmp_path: Path) -> None:
    with opened(tmp_path, bytes_per_s=4 << 20) as rig:
        shard = rig.shard()
        stop = threading.Event()
        written = [300]

        def keep_writing() -> None:
            while not stop.is_set():
                write(shard, written[0], 10)
                written[0] += 10

        thread = threading.Thread(target=keep_writing)
        thread.start()
        try:
            taken = [rig.snapshots.create(NAME) for _ in range(3)]
            rig.snapshots.restore(taken[1].id, "meanwhile")
        finally:
            stop.set()
            thread.join()
        assert written[0] > taken[-1].manifest.items > 300
        for number, one in enumerate(taken):
            rig.snapshots.restore(one.id, f"restored-{number}")
            found = content(rig.shard(f"restored-{number}"))
            count = one.manifest.items
            # All that was written before some moment, and nothing after it.
            assert count % 10 == 0
            assert set(found) == {f"item-{item}" for item in range(count)}
            now = content(shard)
            assert all(now[id] == item for id, item in found.items())


def test_an_archive_is_a_plain_tar(rig: Rig) -> None:
    data = whole_archive(rig)
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        assert tar.getnames()[:2] == [MANIFEST, STORE]
    assert len(data) == rig.snapshots.list()[0].size_bytes


def test_damage_anywhere_is_noticed(rig: Rig, tmp_path: Path) -> None:
    data = whole_archive(rig)
    rng = random.Random(11)
    places = {rng.randrange(len(data)) for _ in range(150)}
    places |= {0, 100, 156, 257, 511, 600, len(data) - 1, len(data) - 1_024, len(data) - 1_025}
    for place in sorted(places):
        damaged = bytearray(data)
        damaged[place] ^= 1 << rng.randrange(8)
        with pytest.raises(SnapshotInvalid):
            rig.snapshots.upload(iter([bytes(damaged)]))
    for cut in (0, 1, 511, 512, len(data) // 2, len(data) - 1):
        with pytest.raises(SnapshotInvalid):
            rig.snapshots.upload(iter([data[:cut]]))
    with pytest.raises(SnapshotInvalid):
        rig.snapshots.upload(iter([data, b"\0"]))
    assert nothing_half_made(tmp_path, rig)
    assert len(rig.snapshots.list()) == 1


def test_pieces_of_any_size_are_taken(rig: Rig) -> None:
    data = whole_archive(rig)
    for size in (500, 4_096, 1 << 24):
        pieces = (data[start : start + size] for start in range(0, len(data), size))
        assert rig.snapshots.upload(pieces)[0].manifest == rig.snapshots.list()[-1].manifest


@pytest.mark.parametrize(
    "name",
    [
        "../evil",
        "/etc/passwd",
        "segments/../../evil",
        "segments/a/../../b",
        "segments/a/.hidden",
        "segments/unnamed/file",
        "segments/a/b/c",
        "other.db",
        "segments/a/x\0y",
        STORE,
    ],
)
def test_a_name_that_leads_elsewhere_is_refused(rig: Rig, tmp_path: Path, name: str) -> None:
    manifest = rig.snapshots.create(NAME).manifest
    evil = replace(manifest, segments=("a",), files=(*manifest.files, FileEntry(name, 4, "0" * 64)))
    with pytest.raises(SnapshotInvalid, match="names"):
        rig.snapshots.upload(iter([forged(evil, {name: b"evil"})]))
    assert not (tmp_path / "evil").exists()
    assert not (tmp_path / "snapshots" / "evil").exists()


def test_a_foreign_archive_is_refused(rig: Rig) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        info = tarfile.TarInfo("readme.txt")
        info.size = 5
        tar.addfile(info, io.BytesIO(b"hello"))
    for foreign in (buffer.getvalue(), b"PK\x03\x04" + bytes(4_000), bytes(10_240)):
        with pytest.raises(SnapshotInvalid, match="no snapshot"):
            rig.snapshots.upload(iter([foreign]))


def test_another_format_is_named(rig: Rig) -> None:
    data = encode(rig.snapshots.create(NAME).manifest).replace(b'"format":1', b'"format":3')
    with pytest.raises(SnapshotInvalid, match="format 3"):
        decode(data)


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TRIGGER t AFTER INSERT ON items BEGIN DELETE FROM vectors; END",
        "CREATE VIEW extra AS SELECT 1",
        "PRAGMA application_id = 7",
        "PRAGMA user_version = 99",
        "DELETE FROM vectors WHERE ordinal = (SELECT max(ordinal) FROM vectors)",
        "UPDATE vectors SET vector = x'00' WHERE ordinal = 5",
        "UPDATE meta SET value = 1 WHERE key = 'next_ordinal'",
        "DELETE FROM meta WHERE key = 'spec'",
        "DELETE FROM items WHERE id = 'item-4'",
    ],
)
def test_a_made_up_store_is_refused(rig: Rig, tmp_path: Path, statement: str) -> None:
    taken = rig.snapshots.create(NAME)
    store = tmp_path / "made-up.db"
    untouched = (tmp_path / "snapshots" / taken.id / STORE).read_bytes()
    rig.snapshots.upload(iter([with_store(taken.manifest, untouched)]))
    store.write_bytes(untouched)
    db = apsw.Connection(str(store))
    db.pragma("journal_mode", "delete")
    db.execute(statement)
    db.close()
    with pytest.raises(SnapshotInvalid):
        rig.snapshots.upload(iter([with_store(taken.manifest, store.read_bytes())]))


def test_a_snapshot_damaged_on_the_disk_is_not_restored(rig: Rig, tmp_path: Path) -> None:
    taken = rig.snapshots.create(NAME)
    store = tmp_path / "snapshots" / taken.id / STORE
    with store.open("r+b") as file:
        file.seek(store.stat().st_size // 2)
        file.write(b"damage")
    with pytest.raises(SnapshotInvalid, match="damaged"):
        rig.snapshots.restore(taken.id, "restored")
    assert [one.name for one in rig.catalog.collections()] == [NAME]
    assert len(list((tmp_path / "collections").iterdir())) == 1


def test_a_full_disk_is_told_and_leaves_nothing(rig: Rig, tmp_path: Path) -> None:
    data = whole_archive(rig)
    taken = rig.snapshots.list()[0]
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        for work in (
            lambda: rig.snapshots.create(NAME),
            lambda: rig.snapshots.upload(iter([data])),
            lambda: rig.snapshots.restore(taken.id, "restored"),
        ):
            with pytest.raises(Exhausted) as caught:
                work()
            assert caught.value.reason is Reason.DISK_FULL
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert nothing_half_made(tmp_path, rig)
    assert len(list((tmp_path / "collections").iterdir())) == 1
    rig.snapshots.restore(taken.id, "restored")
    assert content(rig.shard("restored")) == content(rig.shard())


def test_one_snapshot_of_a_collection_at_a_time(tmp_path: Path) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def on_step(step: str) -> None:
        if step == "linked":
            begun.set()
            assert go_on.wait(30)

    with opened(tmp_path, on_step=on_step) as rig:
        thread = threading.Thread(target=rig.snapshots.create, args=(NAME,))
        thread.start()
        assert begun.wait(30)
        with pytest.raises(Exhausted, match="being taken"):
            rig.snapshots.create(NAME)
        go_on.set()
        thread.join()
        assert len(rig.snapshots.list()) == 1


def test_a_collection_that_is_deleted_meanwhile_is_not_found(tmp_path: Path) -> None:
    rigs: list[Rig] = []

    def on_step(step: str) -> None:
        if step == "linked":
            rigs[0].catalog.delete(NAME)

    with opened(tmp_path, on_step=on_step) as rig:
        rigs.append(rig)
        with pytest.raises(NotFound):
            rig.snapshots.create(NAME)
        assert list((tmp_path / "snapshots").iterdir()) == []


def test_a_stop_ends_what_is_under_way(tmp_path: Path) -> None:
    failures: list[LookalikeError] = []
    begun = threading.Event()

    def create(rig: Rig) -> None:
        try:
            rig.snapshots.create(NAME)
        except LookalikeError as error:
            failures.append(error)

    with opened(tmp_path, bytes_per_s=100, on_step=lambda _: begun.set()) as rig:
        thread = threading.Thread(target=create, args=(rig,))
        thread.start()
        assert begun.wait(30)
        rig.snapshots.close()
        thread.join(30)
        assert not thread.is_alive()
    assert isinstance(failures[0], Unavailable)
    assert list((tmp_path / "snapshots").iterdir()) == []


def forged(manifest: Manifest, contents: dict[str, bytes]) -> bytes:
    """An archive whose checksums all fit, with contents of our own."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name, data in {MANIFEST: encode(manifest), **contents}.items():
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(data), manifest.create_time_us // 1_000_000
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def with_store(manifest: Manifest, store: bytes) -> bytes:
    """An archive of this store alone, as `pack` would make it."""
    files = (FileEntry(STORE, len(store), hashlib.sha256(store).hexdigest()),)
    with tempfile.TemporaryDirectory() as directory:
        (Path(directory) / STORE).write_bytes(store)
        return b"".join(archive.pack(Path(directory), replace(manifest, segments=(), files=files)))
