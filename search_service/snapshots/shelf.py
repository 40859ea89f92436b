"""The snapshots that are whole, each in its directory.

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
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lookalike.wire.errors import NotFound, Reason, SnapshotInvalid
from search_service.durable_files import remove_tree, sync_directory, sync_file
from search_service.snapshots import archive
from search_service.snapshots.manifest import MANIFEST, Manifest, decode, encode, identity
from search_service.snapshots.pace import disk_errors

_log = logging.getLogger(__name__)

_NEW, _OLD = ".new-", ".old-"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A snapshot that is whole; `size_bytes` is that of its archive."""

    id: str
    manifest: Manifest
    size_bytes: int


class Shelf:
    """A directory of snapshots; methods may be called from several threads."""

    def __init__(self, directory: Path, on_step: Callable[[str], None]) -> None:
        self.directory = directory
        self._step = on_step
        self._lock = threading.Lock()
        self._found: dict[str, Snapshot] = {}

    def open(self) -> None:
        """Finish what a crash left, and read what there is.

        Raises:
            OSError: the directory cannot be used.
        """
        self.directory.mkdir(exist_ok=True)
        for path in self.directory.iterdir():
            if path.name.startswith((_NEW, _OLD)):
                remove_tree(path)
            elif path.is_dir():
                self._read(path)

    def list(self, collection: str = "") -> list[Snapshot]:
        """Return the snapshots of a collection's name, or all; newest first."""
        with self._lock:
            found = list(self._found.values())
        kept = [one for one in found if collection in ("", one.manifest.collection)]
        return sorted(kept, key=lambda one: (-one.manifest.create_time_us, one.id))

    def get(self, snapshot_id: str) -> Snapshot:
        """Return a snapshot.

        Raises:
            NotFound: there is none.
        """
        with self._lock:
            return self._get(snapshot_id)

    def _get(self, snapshot_id: str) -> Snapshot:
        try:
            return self._found[snapshot_id]
        except KeyError as error:
            raise NotFound(
                "there is no snapshot of that identity",
                reason=Reason.SNAPSHOT_NOT_FOUND,
                field="snapshot_id",
            ) from error

    def equal(self, manifest: Manifest) -> Snapshot | None:
        """Return the snapshot that has the same content, if there is one."""
        with self._lock:
            return next((one for one in self._found.values() if one.manifest == manifest), None)

    def delete(self, snapshot_id: str) -> None:
        """Remove a snapshot.

        Raises:
            NotFound: there is none.
        """
        with self._lock:
            self._get(snapshot_id)
            aside = self.directory / f"{_OLD}{snapshot_id}"
            with disk_errors():
                (self.directory / snapshot_id).rename(aside)
                sync_directory(self.directory)
            del self._found[snapshot_id]
        self._step("set aside")
        with disk_errors():
            remove_tree(aside)

    @contextmanager
    def making(self) -> Iterator[Path]:
        """Make a directory beside; whatever fails, nothing of it stays."""
        directory = self.directory / f"{_NEW}{uuid.uuid4().hex}"
        try:
            with disk_errors():
                directory.mkdir()
                self._step("begun")
                yield directory
        finally:
            shutil.rmtree(directory, ignore_errors=True)  # renamed by now if all went well

    def publish(
        self, directory: Path, manifest: Manifest, *, replaced: Snapshot | None = None
    ) -> tuple[Snapshot, bool]:
        """Give what is whole its name; return it, and whether it was there already.

        `replaced`, which has the same content, makes room for it.
        """
        path = directory / MANIFEST
        path.write_bytes(encode(manifest))
        self._step("written")
        sync_file(path)
        for folder in sorted({(directory / entry.name).parent for entry in manifest.files}):
            sync_directory(folder)
        sync_directory(directory)
        self._step("synced")
        snapshot_id = replaced.id if replaced is not None else identity(manifest)
        final, aside = self.directory / snapshot_id, self.directory / f"{_OLD}{uuid.uuid4().hex}"
        with self._lock:
            if replaced is None and snapshot_id in self._found:  # another upload was quicker
                return self._found[snapshot_id], True
            if final.exists():
                final.rename(aside)
            directory.rename(final)
            sync_directory(self.directory)
            snapshot = Snapshot(snapshot_id, manifest, archive.archive_bytes(manifest))
            self._found[snapshot_id] = snapshot
        self._step("renamed")
        remove_tree(aside)
        _log.info("snapshot", extra={"snapshot": snapshot_id, "items": manifest.items})
        return snapshot, False

    def _read(self, path: Path) -> None:
        try:
            manifest = decode((path / MANIFEST).read_bytes())
        except (OSError, SnapshotInvalid) as error:
            _log.warning("a snapshot is left out: %s", error, extra={"snapshot": path.name})
            return
        self._found[path.name] = Snapshot(path.name, manifest, archive.archive_bytes(manifest))
