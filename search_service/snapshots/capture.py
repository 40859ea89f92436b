"""Takes the state of a collection while it is written and searched.

The segments are immutable: they are shared by hard link. The store is copied
through SQLite's backup from within one read transaction: writers go on, and
what they commit meanwhile is left out. The log cannot be folded into the store
while that transaction lasts; the copier does it at the end, on its own thread,
since on the writer's it would hold up the next write.

Segments come first: whatever they hold is then in the store's copy too, or has
been deleted since, which a shard that opens them expects.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import apsw

from search_service.durable_files import SYNC_EVERY_BYTES, sync_directory, sync_file
from search_service.segments.current import read_current
from search_service.segments.errors import SegmentDamaged
from search_service.snapshots.manifest import SEGMENTS, STORE, FileEntry
from search_service.snapshots.pace import PIECE_BYTES, Pace, claim_room
from search_service.store import schema
from search_service.store.side_files import SIDE_FILES

_log = logging.getLogger(__name__)

# A build may replace the segments while they are linked; it lasts far longer than that.
_LINK_ATTEMPTS = 5


def capture(collection: Path, target: Path, pace: Pace, step: Callable[[str], None]) -> list[str]:
    """Fill the empty directory `target`; return the names of the segments.

    Raises:
        OSError: a file cannot be read or written.
        apsw.Error: the store cannot be.
        Unavailable: the service is stopping, or a file beside the store is damaged.
    """
    store = collection / STORE
    claim_room(target, store.stat().st_size + _size_of(store.with_name(f"{STORE}-wal")))
    names = _link_segments(collection / SEGMENTS, target / SEGMENTS)
    step("linked")
    _copy_store(store, target / STORE, pace, step)
    for name, file in SIDE_FILES.items():
        if file.is_in(collection):
            claim_room(target, _size_of(collection / name))
            file.copy(collection, target / name, pace.spend)
            sync_file(target / name)
    step("copied")
    return names


def list_files(directory: Path, pace: Pace) -> tuple[FileEntry, ...]:
    """Read every file of a snapshot's directory; the store comes first, then those beside it."""
    paths = [directory / STORE]
    paths += [directory / name for name in SIDE_FILES if (directory / name).exists()]
    paths += sorted(path for path in (directory / SEGMENTS).rglob("*") if path.is_file())
    return tuple(_entry(directory, path, pace) for path in paths)


def _entry(directory: Path, path: Path, pace: Pace) -> FileEntry:
    digest = hashlib.sha256()
    size = 0
    with path.open("rb", buffering=0) as file:
        while piece := file.read(PIECE_BYTES):
            digest.update(piece)
            size += len(piece)
            pace.spend(len(piece))
    return FileEntry(path.relative_to(directory).as_posix(), size, digest.hexdigest())


def _link_segments(source: Path, target: Path) -> list[str]:
    for _ in range(_LINK_ATTEMPTS):
        try:
            names = read_current(source)
            for name in names:
                link_files(source / name, target / name)
        except FileNotFoundError:
            shutil.rmtree(target, ignore_errors=True)
        except SegmentDamaged as error:
            _log.warning("a snapshot goes without segments, which are rebuilt: %s", error)
            break
        else:
            target.mkdir(exist_ok=True)
            sync_directory(target)
            return names
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    return []


def link_files(source: Path, target: Path, *, leave_out: str = "") -> None:
    """Make `target` a directory of hard links of the files of `source`."""
    target.mkdir(parents=True)
    for path in source.iterdir():
        if path.name != leave_out:
            os.link(path, target / path.name)
    sync_directory(target)


def _copy_store(source: Path, target: Path, pace: Pace, step: Callable[[str], None]) -> None:
    with (
        closing(schema.open_reader(source, "")) as reader,
        closing(schema.open_copy(target)) as copy,
    ):
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM meta").fetchall()  # the moment of the snapshot
        with copy.backup("main", reader, "main") as backup:
            unsynced = 0
            while not backup.done:
                backup.step(PIECE_BYTES // schema.PAGE_BYTES)
                unsynced += PIECE_BYTES
                if unsynced >= SYNC_EVERY_BYTES:
                    sync_file(target)
                    unsynced = 0
                pace.spend(PIECE_BYTES)
                step("copying")
        sync_file(target)
        reader.execute("ROLLBACK")
        _fold_in_log(source)


def _fold_in_log(store: Path) -> None:
    """Fold what was written during the copy into the store, beside the writer."""
    try:
        schema.fold_in_log(store)
    except (apsw.BusyError, apsw.FullError) as error:
        _log.info("the log is left to the writer: %s", error)


def _size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
