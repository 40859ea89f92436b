"""Where a replica's shard comes from: its own disk, a snapshot, or nothing yet.

ROOT/UID-PARTITION-NUMBER/lock        held while a process has the replica
ROOT/UID-PARTITION-NUMBER/shard/      the shard, as on one machine
ROOT/UID-PARTITION-NUMBER/incoming/   a snapshot that is being fetched; of no worth
ROOT/UID-PARTITION-NUMBER/captured/   one that is being taken; of no worth
ROOT/UID-PARTITION-NUMBER/astray      there while the shard has what the log lost
"""

from __future__ import annotations

import logging
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from lookalike.wire.errors import LookalikeError, Reason, SnapshotInvalid, Unavailable
from search_service.catalog.data_lock import DataDirectoryInUse, DataLock
from search_service.catalog.shards import Shards
from search_service.cluster.storage import SnapshotStorage, Stored
from search_service.domain.collection import CollectionSpec
from search_service.durable_files import sync_directory, write_durably
from search_service.shard.shard import Shard
from search_service.snapshots.manifest import Manifest
from search_service.snapshots.pace import Pace
from search_service.snapshots.restore import fill_collection
from search_service.snapshots.taking import take

_log = logging.getLogger(__name__)

# As much as a disk gives: who recovers answers nobody.
_BYTES_PER_S = 4 << 30
# Taken beside searches: as on one machine (`snapshots/library.py`).
_CAPTURE_BYTES_PER_S = 128 << 20
# A process that was killed is gone by then; see `DataLock`.
_LOCK_WAIT_S = 30.0


class ReplicaDirectory:
    """The directory of one replica: one thread opens and fetches, another captures."""

    def __init__(self, root: Path, spec: CollectionSpec, partition: int, number: int) -> None:
        self._path = root / f"{spec.uid}-{partition}-{number}"
        self._spec = spec
        self._partition = partition
        self._lock = DataLock(self._path)

    @property
    def _shard(self) -> Path:
        return self._path / "shard"

    def acquire(self, stop: threading.Event) -> None:
        """Take the directory, once a process that had it is gone.

        Raises:
            DataDirectoryInUse: it is not gone after a while.
            OSError: the directory cannot be used.
        """
        self._path.mkdir(parents=True, exist_ok=True)
        deadline_s = time.monotonic() + _LOCK_WAIT_S
        while True:
            try:
                self._lock.acquire()
            except DataDirectoryInUse:
                if time.monotonic() > deadline_s or stop.wait(0.1):
                    raise
            else:
                return

    def release(self) -> None:
        """Give the directory back."""
        self._lock.release()

    def remove(self) -> None:
        """Delete all of it."""
        shutil.rmtree(self._path, ignore_errors=True)

    def open(self, shards: Shards) -> Shard | None:
        """Open the shard that is there; None: there is none that can be opened."""
        if not (self._shard / "store.db").exists():
            return None
        try:
            return shards.open(self._shard)
        except LookalikeError as error:
            # The others have it all: it is fetched anew.
            _log.warning("a replica's own store is given up: %s", error.message)
            shutil.rmtree(self._shard)
            return None

    def create(self, shards: Shards) -> Shard:
        """Make an empty shard in the place of what is there."""
        shutil.rmtree(self._shard, ignore_errors=True)
        self._shard.mkdir()
        # The replica's shard is one, whatever the collection is.
        shard = shards.create(self._shard, replace(self._spec, partitions=1, replicas=1))
        sync_directory(self._path)
        return shard

    @contextmanager
    def fetched(
        self, storage: SnapshotStorage, stored: Stored, stop: threading.Event
    ) -> Iterator[Path]:
        """Give the shard of a snapshot, unpacked beside the one that is there.

        Raises:
            SnapshotInvalid: it is damaged.
            Unavailable: the storage cannot be reached, or the replica is stopping.
        """
        with self._beside("incoming") as incoming:
            archive, filled = incoming / "archive", incoming / "shard"
            archive.mkdir()
            filled.mkdir()
            manifest = storage.fetch(self._partition, stored, archive)
            if manifest.dimension != self._spec.dimension:
                raise SnapshotInvalid("the snapshot is of vectors of another dimension")
            fill_collection(
                archive,
                manifest,
                filled,
                uid=self._spec.uid,
                name=self._spec.name,
                pace=Pace(_BYTES_PER_S, stop),
                step=lambda _: None,
            )
            yield filled

    def take(self, shards: Shards, filled: Path, position: int) -> Shard:
        """Put what was fetched in the place of what is there, which is closed, and open it."""
        shutil.rmtree(self._shard, ignore_errors=True)
        filled.rename(self._shard)
        sync_directory(self._path)
        self.note_astray(0)
        shard = shards.open(self._shard)
        # A bulk build knows no log: its snapshot's name says what it has reached.
        shard.log_position.note(max(position, shard.log_position.value)).result()
        return shard

    def astray(self) -> int:
        """Return what was noted last; 0: nothing."""
        path = self._path / "astray"
        return int(path.read_text()) if path.exists() else 0

    def note_astray(self, position: int) -> None:
        """Keep from which position on others' snapshots are without what the log lost; 0: the
        shard has nothing of that."""
        path = self._path / "astray"
        if position:
            write_durably(path, [str(position).encode()])
        else:
            path.unlink(missing_ok=True)

    @contextmanager
    def captured(self, stop: threading.Event) -> Iterator[tuple[Path, Manifest]]:
        """Give a snapshot of the shard as it is now, for as long as the block lasts.

        Raises:
            StoreDamaged: a part of its store is damaged.
            Unavailable: the replica is stopping.
        """
        with self._beside("captured") as directory:
            pace = Pace(_CAPTURE_BYTES_PER_S, stop)
            try:
                manifest = take(self._spec, self._shard, directory, pace, lambda _: None)
            except OSError as error:
                raise Unavailable(
                    "a snapshot cannot be written on the node", reason=Reason.STORE_FAILED
                ) from error
            yield directory, manifest

    @contextmanager
    def _beside(self, name: str) -> Iterator[Path]:
        directory = self._path / name
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir()
        try:
            yield directory
        finally:
            shutil.rmtree(directory, ignore_errors=True)
