"""Snapshots of partitions in shared storage: a folder of all nodes, or an object store.

    PREFIX/UID/PARTITION/POSITION.tar    an archive as `snapshots/archive.py` writes it
    PREFIX/UID/PARTITION/POSITION.json   size and SHA-256; written once the archive was read
                                         back and found to be what was sent

A snapshot counts once its second file is there: the newest of these says how far the log
may be forgotten.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from lookalike.wire.errors import Reason, SnapshotInvalid, Unavailable
from search_service.snapshots.archive import Unpacker, pack
from search_service.snapshots.manifest import Manifest

if TYPE_CHECKING:
    from obstore.store import ObjectStore

_log = logging.getLogger(__name__)

# How many verified snapshots of a partition are kept: one that turns out to be damaged must
# not be the only one. The log reaches back to the newest alone.
_KEPT = 2
_NAME = re.compile(r"(?:.*/)?(\d{20})\.json")


@dataclass(frozen=True, slots=True)
class Stored:
    """A verified snapshot: the position of the log that it has reached, size and digest."""

    position: int
    size: int
    sha256: str


class SnapshotStorage:
    """The snapshots of one collection; methods block."""

    def __init__(self, url: str, uid: str) -> None:
        """Open `url`, file:///folder, s3://bucket/prefix or gs://bucket/prefix; credentials of
        object stores come from the places that their SDKs look in."""
        self._store = _open(url)
        self._uid = uid

    def newest(self, partition: int) -> Stored | None:
        """Return the newest verified snapshot of a partition.

        Raises:
            Unavailable: the storage cannot be reached.
        """
        with storage_errors():
            found = self._all(partition)
            if not found:
                return None
            return self._read_marker(partition, found[-1])

    def put(self, partition: int, position: int, directory: Path, manifest: Manifest) -> Stored:
        """Keep the snapshot in `directory`; read it back, and drop older ones.

        Raises:
            SnapshotInvalid: what was read back is something else.
            Unavailable: the storage cannot be reached.
        """
        sent = hashlib.sha256()
        size = 0

        def pieces() -> Iterator[bytes]:
            nonlocal size
            for piece in pack(directory, manifest):
                if piece:
                    sent.update(piece)
                    size += len(piece)
                    yield piece

        archive = self._path(partition, position, "tar")
        with storage_errors():
            import obstore

            obstore.put(self._store, archive, pieces())
            read = hashlib.sha256()
            for piece in obstore.get(self._store, archive).stream():
                read.update(piece)
            if read.digest() != sent.digest():
                obstore.delete(self._store, archive)
                raise SnapshotInvalid("the storage gives back another snapshot than was sent")
            stored = Stored(position, size, sent.hexdigest())
            marker = orjson.dumps(stored)
            obstore.put(self._store, self._path(partition, position, "json"), marker)
            for old in self._all(partition)[:-_KEPT]:
                self._drop(partition, old)
        return stored

    def fetch(self, partition: int, stored: Stored, directory: Path) -> Manifest:
        """Unpack a snapshot into `directory`, which is there and empty.

        Raises:
            SnapshotInvalid: it is not what was sent.
            Unavailable: the storage cannot be reached.
        """
        unpacker = Unpacker(directory)
        try:
            with storage_errors():
                import obstore

                archive = self._path(partition, stored.position, "tar")
                for piece in obstore.get(self._store, archive).stream():
                    unpacker.feed(bytes(piece))
            return unpacker.finish()
        finally:
            unpacker.close()

    def remove(self) -> None:
        """Delete all snapshots of the collection.

        Raises:
            Unavailable: the storage cannot be reached.
        """
        import obstore

        with storage_errors():
            for page in obstore.list(self._store, self._uid):
                obstore.delete(self._store, [str(each["path"]) for each in page])

    def _all(self, partition: int) -> list[int]:
        import obstore

        names = [
            str(each["path"])
            for page in obstore.list(self._store, f"{self._uid}/{partition}")
            for each in page
        ]
        return sorted(int(found[1]) for name in names if (found := _NAME.fullmatch(name)))

    def _read_marker(self, partition: int, position: int) -> Stored:
        import obstore

        answer = obstore.get(self._store, self._path(partition, position, "json"))
        fields: dict[str, Any] = orjson.loads(bytes(answer.bytes()))
        return Stored(**fields)

    def _drop(self, partition: int, position: int) -> None:
        import obstore

        # The marker first: without it the archive counts no more.
        for ending in ("json", "tar"):
            obstore.delete(self._store, self._path(partition, position, ending))

    def _path(self, partition: int, position: int, ending: str) -> str:
        return f"{self._uid}/{partition}/{position:020d}.{ending}"


@contextmanager
def storage_errors() -> Iterator[None]:
    """Raise what the library says as ours.

    Raises:
        Unavailable: the storage cannot be reached, or does not have what is asked for.
    """
    from obstore.exceptions import BaseError

    try:
        yield
    except (BaseError, OSError) as error:
        _log.warning("shared storage: %s", error)
        raise Unavailable(
            "the shared storage of snapshots cannot be used; the log says why",
            reason=Reason.STORE_FAILED,
            retry_delay_s=5.0,
        ) from error


def _open(url: str) -> ObjectStore:
    from obstore.store import LocalStore, from_url

    if url.startswith("file://"):
        folder = Path(url.removeprefix("file://"))
        folder.mkdir(parents=True, exist_ok=True)
        return LocalStore(folder)
    return from_url(url)
