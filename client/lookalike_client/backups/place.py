"""A place in an object store, and the backups that lie there.

A backup is one object, COLLECTION/TIME-SNAPSHOT.tar, with the time in UTC, to the
microsecond: names sort as the times do. Credentials come from where the stores' own tools
look for them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlparse

if TYPE_CHECKING:
    from obstore.store import ObjectStore

SCHEMES = ("s3", "gs", "az", "file")

_NAME = re.compile(r"(?P<collection>[^/]+)/(?P<time>\d{8}T\d{12}Z)-(?P<snapshot>[^/]+)\.tar")
_TIME = "%Y%m%dT%H%M%S%fZ"
# Some stores answer with a page.
_MOST_CHARACTERS = 200
# An archive goes in parts, of which S3 takes 10,000: this allows 160 GB.
_PART_BYTES = 16 << 20


class BackupError(Exception):
    """A backup cannot be kept or found; the message says what to change."""


@dataclass(frozen=True, slots=True, order=True)
class Backup:
    """An archive of a collection; they sort by collection, and then by time."""

    collection: str
    time: datetime
    snapshot_id: str
    size_bytes: int = 0

    @property
    def name(self) -> str:
        """The object's name below the place."""
        return f"{self.collection}/{self.time.astimezone(UTC):{_TIME}}-{self.snapshot_id}.tar"


class Place:
    """Where backups lie: s3://bucket/prefix, gs://bucket/prefix, az://container/prefix, or
    file:///folder."""

    def __init__(self, url: str, *, make: bool = False) -> None:
        """Open it; nothing is read yet. With `make` a folder is made that is not there.

        Raises:
            BackupError: it is no such address, or the library is not there.
        """
        self.url = url
        self._store = _open(url, make=make)

    def put(self, backup: Backup, chunks: Iterable[bytes]) -> None:
        """Write an archive; it is there, whole, or not at all.

        Raises:
            BackupError: the store does not take it.
        """
        import obstore

        with self._told():
            obstore.put(
                self._store, backup.name, iter(chunks), use_multipart=True, chunk_size=_PART_BYTES
            )

    def get(self, backup: Backup) -> Iterator[bytes]:
        """Yield an archive.

        Raises:
            BackupError: it is not there, or cannot be read.
        """
        import obstore

        with self._told():
            for chunk in obstore.get(self._store, backup.name):
                yield bytes(chunk)

    def size_bytes(self, backup: Backup) -> int:
        """Return how large an archive is.

        Raises:
            BackupError: it is not there.
        """
        import obstore

        with self._told():
            return int(obstore.head(self._store, backup.name)["size"])

    def delete(self, backups: Iterable[Backup]) -> None:
        """Remove archives.

        Raises:
            BackupError: the store does not remove them.
        """
        import obstore

        with self._told():
            for backup in backups:
                obstore.delete(self._store, backup.name)

    def list(self, collection: str = "") -> list[Backup]:
        """Return the backups of a collection, or all; the oldest of each first.

        Raises:
            BackupError: the place cannot be read.
        """
        import obstore

        prefix = f"{collection}/" if collection else None
        with self._told():
            found = [each for page in obstore.list(self._store, prefix) for each in page]
        return sorted(each for each in map(_backup, found) if each is not None)

    @contextmanager
    def _told(self) -> Iterator[None]:
        from obstore.exceptions import BaseError

        try:
            yield
        except (BaseError, OSError) as error:
            raise BackupError(f"{self.url}: {_short(error)}") from error


def _open(url: str, *, make: bool) -> ObjectStore:
    scheme = urlparse(url).scheme
    if scheme not in SCHEMES:
        raise BackupError(f"{url}: name a place such as s3://bucket/prefix ({', '.join(SCHEMES)})")
    try:
        from obstore.exceptions import BaseError
        from obstore.store import LocalStore, from_url
    except ImportError as error:
        raise BackupError("backups need obstore: pip install 'lookalike[client,backup]'") from error
    try:
        if scheme == "file":
            return LocalStore(unquote(urlparse(url).path), mkdir=make)
        return from_url(url)
    except (BaseError, OSError, ValueError) as error:
        raise BackupError(f"{url}: {_short(error)}") from error


def _short(error: Exception) -> str:
    """Return what a person reads of a store's complaint; the rest is its answer in full."""
    return " ".join(str(error).partition("Debug source")[0].split())[:_MOST_CHARACTERS]


def _backup(meta: Any) -> Backup | None:
    match = _NAME.fullmatch(str(meta["path"]))
    if match is None:  # something of somebody else's
        return None
    time = datetime.strptime(match["time"], _TIME).replace(tzinfo=UTC)
    return Backup(match["collection"], time, match["snapshot"], int(meta["size"]))
