"""Snapshots of partitions in shared storage: a folder of all nodes, or an object store.

    PREFIX/UID/PARTITION/POSITION-MARK.tar   an archive as `snapshots/archive.py` writes it
    PREFIX/UID/PARTITION/POSITION.json       which archive, its size and SHA-256; written once it
                                             was read back and found to be what was sent

A snapshot counts once its second file is there: the newest of these says how far the log
may be forgotten. An archive is never written over: two replicas at the same position have
other files, and might be at it at once.
"""

from __future__ import annotations

import hashlib
import logging
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from lookalike.wire.errors import Reason, SnapshotInvalid, Unavailable
from search_service.cluster.names import Contents, read_contents
from search_service.snapshots.archive import Unpacker, pack
from search_service.snapshots.manifest import Manifest

if TYPE_CHECKING:
    from obstore.store import ObjectStore

_log = logging.getLogger(__name__)

# How many verified snapshots of a partition are kept: one that turns out to be damaged must
# not be the only one. The log reaches back to the newest alone.
_KEPT = 2
_MARKER = re.compile(r"(?:.*/)?(\d{20})\.json")
_ARCHIVE = re.compile(r"(?:.*/)?((\d{20})-[0-9a-f]+\.tar)")


@dataclass(frozen=True, slots=True)
class Stored:
    """A verified snapshot: the position of the log that it has reached, the name of its
    archive, size and digest."""

    position: int
    archive: str
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
            found = self._markers(partition)
            return self._read_marker(partition, found[-1]) if found else None

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

        archive = f"{position:020d}-{secrets.token_hex(8)}.tar"
        with storage_errors():
            import obstore

            path = self._path(partition, archive)
            obstore.put(self._store, path, pieces())
            stored = Stored(position, archive, size, sent.hexdigest())
            if not self._reads_back(partition, stored):
                obstore.delete(self._store, path)
                raise SnapshotInvalid("the storage gives back another snapshot than was sent")
            obstore.put(self._store, self._marker(partition, position), orjson.dumps(stored))
            self._drop_older(partition, position)
        return stored

    def is_whole(self, partition: int, stored: Stored) -> bool:
        """Say whether a snapshot is what was sent.

        Raises:
            Unavailable: the storage cannot be reached.
        """
        with storage_errors():
            return self._reads_back(partition, stored)

    def fetch(self, partition: int, stored: Stored, directory: Path) -> Manifest:
        """Unpack a snapshot into `directory`, which is there and empty.

        Raises:
            SnapshotInvalid: it is not what was sent.
            Unavailable: the storage cannot be reached.
        """
        from obstore.exceptions import NotFoundError

        unpacker = Unpacker(directory)
        try:
            with storage_errors():
                import obstore

                try:
                    answer = obstore.get(self._store, self._path(partition, stored.archive))
                except (FileNotFoundError, NotFoundError):
                    raise SnapshotInvalid("the archive of the snapshot is gone") from None
                for piece in answer.stream():
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

    def _reads_back(self, partition: int, stored: Stored) -> bool:
        import obstore
        from obstore.exceptions import NotFoundError

        read = hashlib.sha256()
        try:
            answer = obstore.get(self._store, self._path(partition, stored.archive))
            for piece in answer.stream():
                read.update(piece)
        except (FileNotFoundError, NotFoundError):
            return False
        return read.hexdigest() == stored.sha256

    def _drop_older(self, partition: int, position: int) -> None:
        """Drop all up to `position` but the newest; archives, too, that nobody finished."""
        import obstore

        markers = self._markers(partition)
        for old in markers[:-_KEPT]:
            # The marker first: without it the archive counts no more.
            obstore.delete(self._store, self._marker(partition, old))
        kept = {self._read_marker(partition, each).archive for each in markers[-_KEPT:]}
        for name in self._names(partition):
            found = _ARCHIVE.fullmatch(name)
            if found and int(found[2]) <= position and found[1] not in kept:
                obstore.delete(self._store, self._path(partition, found[1]))

    def _markers(self, partition: int) -> list[int]:
        names = self._names(partition)
        return sorted(int(found[1]) for name in names if (found := _MARKER.fullmatch(name)))

    def _names(self, partition: int) -> list[str]:
        import obstore

        return [
            str(each["path"])
            for page in obstore.list(self._store, f"{self._uid}/{partition}")
            for each in page
        ]

    def _read_marker(self, partition: int, position: int) -> Stored:
        import obstore

        answer = obstore.get(self._store, self._marker(partition, position))
        fields: dict[str, Any] = orjson.loads(bytes(answer.bytes()))
        return Stored(**fields)

    def _marker(self, partition: int, position: int) -> str:
        return self._path(partition, f"{position:020d}.json")

    def _path(self, partition: int, name: str) -> str:
        return f"{self._uid}/{partition}/{name}"


class CatalogCopy:
    """A copy of the catalog, for when Redis has lost it.

    PREFIX/catalog-KEY_PREFIX/REVISION.json
    """

    def __init__(self, url: str, key_prefix: str) -> None:
        self._store = _open(url)
        self._folder = f"catalog-{key_prefix}"

    def keep(self, contents: Contents) -> None:
        """Keep a copy, and drop older ones.

        Raises:
            Unavailable: the storage cannot be reached.
        """
        import obstore

        with storage_errors():
            obstore.put(self._store, self._path(contents.revision), contents.raw)
            for old in [each for each in self._revisions() if each < contents.revision]:
                obstore.delete(self._store, self._path(old))

    def newest(self) -> Contents:
        """Return the newest copy; an empty one where there is none.

        Raises:
            Unavailable: the storage cannot be reached, or another release wrote it.
        """
        import obstore

        with storage_errors():
            revisions = self._revisions()
            if not revisions:
                return Contents()
            raw = bytes(obstore.get(self._store, self._path(revisions[-1])).bytes())
        return read_contents(raw)

    def _revisions(self) -> list[int]:
        import obstore

        names = [str(e["path"]) for page in obstore.list(self._store, self._folder) for e in page]
        return sorted(int(found[1]) for name in names if (found := _MARKER.fullmatch(name)))

    def _path(self, revision: int) -> str:
        return f"{self._folder}/{revision:020d}.json"


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
