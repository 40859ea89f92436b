"""Takes, keeps, moves, removes and restores snapshots of collections."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lookalike.wire.errors import (
    Exhausted,
    Reason,
    StoreDamaged,
    Unavailable,
)
from search_service.catalog.catalog import Catalog
from search_service.catalog.collection import Collection
from search_service.snapshots import archive
from search_service.snapshots.capture import list_files
from search_service.snapshots.manifest import STORE
from search_service.snapshots.pace import Pace, disk_errors
from search_service.snapshots.restore import fill_collection
from search_service.snapshots.shelf import Shelf, Snapshot
from search_service.snapshots.store_check import check_side_files, check_store
from search_service.snapshots.taking import take
from search_service.store.damage import damaged

# See `pace.py`. Chosen, other rates were not tried: tests/bench/query/snapshot.py
# measures what a snapshot at this one does to writes and searches.
BYTES_PER_S = 128 << 20


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
        self._catalog = catalog
        self._bytes_per_s = bytes_per_s
        self._step = on_step or (lambda _: None)
        self._shelf = Shelf(root / "snapshots", self._step)
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._busy: set[str] = set()

    def open(self) -> None:
        """Finish what a crash left, read what there is; after the catalog is open.

        Raises:
            OSError: the directory cannot be used.
        """
        self._shelf.open()

    def close(self) -> None:
        """End what is under way: it fails with NOT_READY and leaves nothing."""
        self._stop.set()

    def list(self, collection: str = "") -> list[Snapshot]:
        """Return the snapshots of a collection's name, or all; newest first."""
        return self._shelf.list(collection)

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
        self._shelf.delete(snapshot_id)

    def download(self, snapshot_id: str) -> Iterator[bytes]:
        """Yield the archive of a snapshot, at most 1 MiB at a time.

        Raises:
            NotFound: there is none, or it was deleted meanwhile.
        """
        snapshot = self._shelf.get(snapshot_id)
        try:
            yield from archive.pack(self._shelf.directory / snapshot_id, snapshot.manifest)
        except OSError:
            self._shelf.get(snapshot_id)  # deleted meanwhile
            with disk_errors():
                raise

    def upload(self, chunks: Iterator[bytes]) -> tuple[Snapshot, bool]:
        """Take an archive in; return its snapshot, and whether that was there already.

        Raises:
            SnapshotInvalid: it is damaged, foreign, or of another format.
            Exhausted: the disk is full.
        """
        with self._shelf.making() as directory:
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
            check_side_files(directory, manifest)
            self._step("checked")
            known = self._shelf.equal(manifest)
            if known is not None and self._is_whole(known):
                return known, True
            return self._shelf.publish(directory, manifest, replaced=known)

    def restore(self, snapshot_id: str, name: str) -> tuple[str, int]:
        """Make a new collection from a snapshot; return its UID and items.

        Raises:
            NotFound: there is no such snapshot.
            AlreadyExists: the name is taken.
            SnapshotInvalid: the snapshot is damaged.
            Exhausted: the disk is full.
        """
        snapshot = self._shelf.get(snapshot_id)
        uid = uuid.uuid4().hex

        def fill(directory: Path) -> None:
            with disk_errors():
                fill_collection(
                    self._shelf.directory / snapshot_id,
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
        pace = Pace(self._bytes_per_s, self._stop)
        with self._only_one(collection), self._shelf.making() as directory:
            source = self._catalog.directory(collection.uid)
            manifest = take(spec, source, directory, pace, self._step)
            return self._shelf.publish(directory, manifest)[0]

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

    def _is_whole(self, snapshot: Snapshot) -> bool:
        pace = Pace(self._bytes_per_s, self._stop)
        try:
            return list_files(self._shelf.directory / snapshot.id, pace) == snapshot.manifest.files
        except OSError:
            return False
