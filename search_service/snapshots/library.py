"""The snapshots of a data directory.

    DATA/snapshots/ID        one snapshot each
    DATA/snapshots/.new-ID   one in the making
    DATA/snapshots/.old-ID   one that is being removed

A snapshot is made beside, synced, and renamed as a whole; a directory with a dot
is what a crash left, and is removed at the next start.
"""

from __future__ import annotations

import logging
import shutil
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lookalike.wire.errors import (
    Exhausted,
    NotFound,
    Reason,
    SnapshotInvalid,
    StoreDamaged,
    Unavailable,
)
from search_service.catalog.catalog import Catalog
from search_service.catalog.collection import Collection
from search_service.durable_files import remove_tree, sync_directory, sync_file
from search_service.priority import lower_priority
from search_service.snapshots import archive
from search_service.snapshots.capture import capture, list_files
from search_service.snapshots.manifest import MANIFEST, STORE, Manifest, decode, encode
from search_service.snapshots.pace import Pace, disk_errors
from search_service.snapshots.restore import fill_collection
from search_service.snapshots.store_check import check_copy, check_store, count_items
from search_service.store.damage import damaged

_log = logging.getLogger(__name__)

# See `pace.py`. Chosen, other rates were not tried: tests/bench/query/snapshot.py
# measures what a snapshot at this one does to writes and searches.
BYTES_PER_S = 128 << 20
_NEW, _OLD = ".new-", ".old-"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A snapshot that is whole; `size_bytes` is that of its archive."""

    id: str
    manifest: Manifest
    size_bytes: int


class Snapshots:
    """All snapshots; methods block and may be called from several threads."""

    def __init__(
        self,
        root: Path,
        catalog: Catalog,
        *,
        bytes_per_s: float = BYTES_PER_S,
        on_step: Callable[[str], None] | None = None,
    ) -> None:
        """Keep snapshots of `catalog`'s collections in data directory `root`.

        `on_step` hears of each step of what is under way.
        """
        self._directory = root / "snapshots"
        self._catalog = catalog
        self._bytes_per_s = bytes_per_s
        self._step = on_step or (lambda _: None)
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._found: dict[str, Snapshot] = {}
        self._busy: set[str] = set()

    def open(self) -> None:
        """Finish what a crash left, read what there is; after the catalog is open.

        Raises:
            OSError: the directory cannot be used.
        """
        self._directory.mkdir(exist_ok=True)
        for path in self._directory.iterdir():
            if path.name.startswith((_NEW, _OLD)):
                remove_tree(path)
            elif path.is_dir():
                self._read(path)

    def close(self) -> None:
        """End what is under way: it fails with NOT_READY and leaves nothing."""
        self._stop.set()

    def list(self, collection: str = "") -> list[Snapshot]:
        """Return the snapshots of a collection's name, or all; newest first."""
        with self._lock:
            found = list(self._found.values())
        kept = [one for one in found if collection in ("", one.manifest.collection)]
        return sorted(kept, key=lambda one: (-one.manifest.create_time_us, one.id))

    def create(self, name: str) -> Snapshot:
        """Keep the state of a collection as it is now.

        Raises:
            NotFound: there is no such collection.
            Exhausted: the disk is full, or a snapshot of it is being taken.
            StoreDamaged: a part of the collection's store is damaged.
            Unavailable: the service is stopping, or the disk fails.
        """
        collection = self._catalog.find(name)
        try:
            return self._create(collection)
        except StoreDamaged as error:
            collection.shard.note_damage(error)
            raise
        except Unavailable:
            self._catalog.find(collection.uid)  # deleted meanwhile
            raise

    def delete(self, snapshot_id: str) -> None:
        """Remove a snapshot.

        Raises:
            NotFound: there is none.
        """
        with self._lock:
            self._get(snapshot_id)
            aside = self._directory / f"{_OLD}{snapshot_id}"
            with disk_errors():
                (self._directory / snapshot_id).rename(aside)
                sync_directory(self._directory)
            del self._found[snapshot_id]
        self._step("set aside")
        with disk_errors():
            remove_tree(aside)

    def download(self, snapshot_id: str) -> Iterator[bytes]:
        """Yield the archive of a snapshot, at most 1 MiB at a time.

        Raises:
            NotFound: there is none, or it was deleted meanwhile.
        """
        with self._lock:
            snapshot = self._get(snapshot_id)
        try:
            yield from archive.pack(self._directory / snapshot_id, snapshot.manifest)
        except OSError:
            with self._lock:
                self._get(snapshot_id)  # deleted meanwhile
            with disk_errors():
                raise

    def upload(self, chunks: Iterator[bytes]) -> Snapshot:
        """Take an archive in, under an identity of its own.

        Raises:
            SnapshotInvalid: it is damaged, foreign, or of another format.
            Exhausted: the disk is full.
        """
        with self._making() as (snapshot_id, directory):
            unpacker = archive.Unpacker(directory)
            try:
                for chunk in chunks:
                    unpacker.feed(chunk)
                    self._step("unpacking")
                    if self._stop.is_set():
                        raise Unavailable("the search service is stopping", reason=Reason.NOT_READY)
                manifest = unpacker.finish()
            finally:
                unpacker.close()
            self._step("unpacked")
            check_store(directory / STORE, manifest)
            self._step("checked")
            return self._publish(snapshot_id, directory, manifest)

    def restore(self, snapshot_id: str, name: str) -> tuple[str, int]:
        """Make a new collection from a snapshot; return its UID and items.

        Raises:
            NotFound: there is no such snapshot.
            AlreadyExists: the name is taken.
            SnapshotInvalid: the snapshot is damaged.
            Exhausted: the disk is full.
        """
        with self._lock:
            snapshot = self._get(snapshot_id)
        lower_priority()
        uid = uuid.uuid4().hex

        def fill(directory: Path) -> None:
            with disk_errors():
                fill_collection(
                    self._directory / snapshot_id,
                    snapshot.manifest,
                    directory,
                    uid=uid,
                    name=name,
                    pace=Pace(self._bytes_per_s, self._stop),
                    step=self._step,
                )

        collection = self._catalog.take_in(name, uid, fill)
        self._step("named")
        return uid, collection.shard.count(None)

    def _create(self, collection: Collection) -> Snapshot:
        if collection.shard.stats().store_damage:
            raise damaged()
        spec = collection.shard.spec
        lower_priority()
        pace = Pace(self._bytes_per_s, self._stop)
        with self._only_one(collection), self._making() as (snapshot_id, directory):
            now_us = time.time_ns() // 1_000
            segments = capture(self._catalog.directory(collection.uid), directory, pace, self._step)
            files = list_files(directory, pace)
            self._step("summed")
            manifest = Manifest(
                collection=spec.name,
                collection_uid=spec.uid,
                dimension=spec.dimension,
                model_fingerprint=spec.model_fingerprint,
                items=count_items(directory / STORE),
                create_time_us=now_us,
                segments=tuple(segments),
                files=files,
            )
            check_copy(directory / STORE, spec.dimension, pace)
            return self._publish(snapshot_id, directory, manifest)

    @contextmanager
    def _only_one(self, collection: Collection) -> Iterator[None]:
        with self._lock:
            if collection.uid in self._busy:
                raise Exhausted(
                    f'a snapshot of "{collection.name}" is being taken: wait for it',
                    retry_delay_s=2.0,
                )
            self._busy.add(collection.uid)
        try:
            yield
        finally:
            with self._lock:
                self._busy.discard(collection.uid)

    @contextmanager
    def _making(self) -> Iterator[tuple[str, Path]]:
        """Make a directory beside; whatever fails, nothing of it stays."""
        snapshot_id = uuid.uuid4().hex
        directory = self._directory / f"{_NEW}{snapshot_id}"
        try:
            with disk_errors():
                directory.mkdir()
                self._step("begun")
                yield snapshot_id, directory
        finally:
            shutil.rmtree(directory, ignore_errors=True)  # renamed by now if all went well

    def _publish(self, snapshot_id: str, directory: Path, manifest: Manifest) -> Snapshot:
        path = directory / MANIFEST
        path.write_bytes(encode(manifest))
        self._step("written")
        sync_file(path)
        for folder in sorted({(directory / entry.name).parent for entry in manifest.files}):
            sync_directory(folder)
        sync_directory(directory)
        self._step("synced")
        final = self._directory / snapshot_id
        with self._lock:
            directory.rename(final)
            sync_directory(self._directory)
            snapshot = Snapshot(snapshot_id, manifest, archive.archive_bytes(manifest))
            self._found[snapshot_id] = snapshot
        self._step("renamed")
        _log.info("snapshot", extra={"snapshot": snapshot_id, "items": manifest.items})
        return snapshot

    def _get(self, snapshot_id: str) -> Snapshot:
        try:
            return self._found[snapshot_id]
        except KeyError as error:
            raise NotFound(
                "there is no snapshot of that identity",
                reason=Reason.SNAPSHOT_NOT_FOUND,
                field="snapshot_id",
            ) from error

    def _read(self, path: Path) -> None:
        try:
            manifest = decode((path / MANIFEST).read_bytes())
        except (OSError, SnapshotInvalid) as error:
            _log.warning("a snapshot is left out: %s", error, extra={"snapshot": path.name})
            return
        self._found[path.name] = Snapshot(path.name, manifest, archive.archive_bytes(manifest))
