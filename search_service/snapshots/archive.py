"""A snapshot as one stream of bytes: a tar archive, `manifest.json` first.

Any tar reads it. What is written follows from the manifest alone, so that what
arrives is compared byte by byte with what must come: an archive can neither name
another file nor hide a damaged byte. Nothing of it is ever unpacked by name.
"""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Generator, Iterator
from pathlib import Path

from lookalike.wire.errors import SnapshotInvalid
from search_service.durable_files import SyncedWriter
from search_service.snapshots.manifest import (
    MANIFEST,
    MAX_MANIFEST_BYTES,
    FileEntry,
    Manifest,
    decode,
    encode,
)
from search_service.snapshots.pace import PIECE_BYTES

_BLOCK_BYTES = tarfile.BLOCKSIZE
_END = bytes(2 * _BLOCK_BYTES)


def archive_bytes(manifest: Manifest) -> int:
    """Return the size of a snapshot's archive."""
    data = encode(manifest)
    total = len(_header(MANIFEST, len(data), manifest)) + len(data) + _padding(len(data))
    for entry in manifest.files:
        total += len(_header(entry.name, entry.size, manifest))
        total += entry.size + _padding(entry.size)
    return total + len(_END)


def pack(directory: Path, manifest: Manifest) -> Iterator[bytes]:
    """Yield the archive of the snapshot in `directory`, at most 1 MiB at a time.

    Raises:
        OSError: a file cannot be read.
        SnapshotInvalid: a file has another size than the manifest says.
    """
    data = encode(manifest)
    yield _header(MANIFEST, len(data), manifest)
    for start in range(0, len(data), PIECE_BYTES):
        yield data[start : start + PIECE_BYTES]
    yield bytes(_padding(len(data)))
    for entry in manifest.files:
        yield _header(entry.name, entry.size, manifest)
        yield from _read(directory / entry.name, entry)
        yield bytes(_padding(entry.size))
    yield _END


class Unpacker:
    """Takes an archive in pieces and writes the files that its manifest names."""

    def __init__(self, directory: Path) -> None:
        """Write below `directory`, which is there and empty."""
        self._directory = directory
        self._buffer = bytearray()
        self._manifest: Manifest | None = None
        self._parser = self._parse()
        self._ended = False
        next(self._parser)

    def feed(self, data: bytes) -> None:
        """Take the next bytes.

        Raises:
            SnapshotInvalid: they are not what must come.
            OSError: a file cannot be written.
        """
        if not data:
            return
        if self._ended:
            raise SnapshotInvalid("the archive is damaged: something follows its end")
        self._buffer += data
        try:
            self._parser.send(None)
        except StopIteration:
            self._ended = True
            if self._buffer:
                raise SnapshotInvalid("the archive is damaged: something follows its end") from None

    def finish(self) -> Manifest:
        """Return the manifest, once everything came.

        Raises:
            SnapshotInvalid: something is missing.
        """
        if not self._ended or self._manifest is None:
            raise SnapshotInvalid("this is no snapshot, or its archive is cut short")
        return self._manifest

    def close(self) -> None:
        """Close the file that is being written, if there is one."""
        self._parser.close()

    def _parse(self) -> Generator[None, None, None]:
        yield
        manifest = yield from self._take_manifest()
        self._manifest = manifest
        for entry in manifest.files:
            yield from self._expect(_header(entry.name, entry.size, manifest))
            yield from self._take_file(entry)
            yield from self._expect(bytes(_padding(entry.size)))
        yield from self._expect(_END)

    def _take_manifest(self) -> Generator[None, None, Manifest]:
        first = yield from self._take(_BLOCK_BYTES)
        try:
            info = tarfile.TarInfo.frombuf(first, "utf-8", "strict")
        except (tarfile.HeaderError, UnicodeDecodeError) as error:
            raise SnapshotInvalid("this is no snapshot: it is no archive") from error
        if info.name != MANIFEST or not 0 < info.size <= MAX_MANIFEST_BYTES:
            raise SnapshotInvalid("this is no snapshot: it does not begin with a manifest")
        data = yield from self._take(info.size)
        manifest = decode(data)
        if first != _header(MANIFEST, info.size, manifest):
            raise SnapshotInvalid("the archive is damaged: take it again")
        yield from self._expect(bytes(_padding(info.size)))
        return manifest

    def _take_file(self, entry: FileEntry) -> Generator[None, None, None]:
        path = self._directory / entry.name  # a name that `decode` has let through
        path.parent.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256()
        left = entry.size
        with path.open("xb") as file:
            writer = SyncedWriter(file)
            while left:
                piece = yield from self._take(min(left, PIECE_BYTES))
                writer.write(piece)
                digest.update(piece)
                left -= len(piece)
            writer.sync()
        if digest.hexdigest() != entry.sha256:
            raise SnapshotInvalid("the archive is damaged: a file has another checksum")

    def _expect(self, expected: bytes) -> Generator[None, None, None]:
        found = yield from self._take(len(expected))
        if found != expected:
            raise SnapshotInvalid("the archive is damaged: take it again")

    def _take(self, count: int) -> Generator[None, None, bytes]:
        while len(self._buffer) < count:
            yield
        taken = bytes(self._buffer[:count])
        del self._buffer[:count]
        return taken


def _header(name: str, size: int, manifest: Manifest) -> bytes:
    info = tarfile.TarInfo(name)
    info.size = size
    info.mtime = manifest.create_time_us // 1_000_000
    return info.tobuf(tarfile.GNU_FORMAT)


def _padding(size: int) -> int:
    return -size % _BLOCK_BYTES


def _read(path: Path, entry: FileEntry) -> Iterator[bytes]:
    left = entry.size
    with path.open("rb", buffering=0) as file:
        while piece := file.read(min(PIECE_BYTES, left)):
            left -= len(piece)
            yield piece
    if left:
        raise SnapshotInvalid("the snapshot is damaged: a file is cut short", field="snapshot_id")
