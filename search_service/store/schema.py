"""The store's file: its tables, its form version, and how it is opened.

Vectors, details and thumbnails are keyed by ordinal and kept apart from the
narrow `items`, so that start-up reads about 80 bytes an item (0.6 s a million).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path

import apsw
import orjson

from lookalike.wire.errors import Reason, Unavailable
from search_service.domain.collection import (
    Calibration,
    CollectionSpec,
    Dtype,
    DuplicatePolicy,
    DuplicateSettings,
    IndexSettings,
    NamedVectors,
)
from search_service.store import checksums, named
from search_service.store.checksums import RESERVED_BYTES
from search_service.store.damage import damaged, is_damage

APPLICATION_ID = 0x4C4B414C  # "LKAL"
# Format 2 has a checksum at the end of each page: a release that knows format 1 only
# would write pages without.
FORMAT_VERSION = 2
PLAIN_FORMAT = 1
# Of collections whose graph has four bits a component, so that a release that knows no
# such form says so, and does not take the settings for damaged: without checksums, with.
NIBBLES_PLAIN_FORMAT = 3
NIBBLES_FORMAT = 4
# One of those plus this has items with several vectors, which a release that knows no
# such items would count and delete wrongly (`further.py`).
SEVERAL_MORE = 4
_SINGLE_FORMATS = (PLAIN_FORMAT, FORMAT_VERSION, NIBBLES_PLAIN_FORMAT, NIBBLES_FORMAT)
SEVERAL_FORMATS = tuple(single + SEVERAL_MORE for single in _SINGLE_FORMATS)
SUMMED_FORMATS = tuple(
    summed + more for summed in (FORMAT_VERSION, NIBBLES_FORMAT) for more in (0, SEVERAL_MORE)
)
READABLE_FORMATS = _SINGLE_FORMATS + SEVERAL_FORMATS
# A row with a 2 KiB vector costs 4,110 bytes with pages of 4 KiB, 2,359 with 16.
PAGE_BYTES = 16_384
# How long a connection waits for another that holds the lock it needs.
BUSY_MS = 10_000

# Releases with the fix for two connections that corrupt a WAL database
# (https://sqlite.org/wal.html, "the WAL-reset bug").
FIRST_SAFE_VERSION = (3, 51, 3)
SAFE_BACKPORTS = {(3, 50): 7, (3, 44): 6}

TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID;
CREATE TABLE items (
    id TEXT PRIMARY KEY,
    ordinal INTEGER,
    vector_version INTEGER NOT NULL,
    metadata_version INTEGER NOT NULL,
    delete_version INTEGER NOT NULL,
    update_time_us INTEGER NOT NULL,
    near_id TEXT,
    near_score REAL,
    near_flagged INTEGER
) WITHOUT ROWID;
CREATE INDEX items_by_ordinal ON items (ordinal) WHERE ordinal IS NOT NULL;
CREATE TABLE vectors (ordinal INTEGER PRIMARY KEY, vector BLOB NOT NULL);
CREATE TABLE details (
    ordinal INTEGER PRIMARY KEY, metadata BLOB NOT NULL, facts BLOB NOT NULL
);
CREATE TABLE thumbnails (ordinal INTEGER PRIMARY KEY, thumbnail BLOB NOT NULL);
CREATE TABLE pending_metadata (id TEXT PRIMARY KEY, metadata BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE rejections (
    id TEXT, version INTEGER, near_id TEXT NOT NULL, near_score REAL NOT NULL,
    PRIMARY KEY (id, version)
) WITHOUT ROWID;
"""
FURTHER_TABLE = """
CREATE TABLE further_vectors (ordinal INTEGER PRIMARY KEY, item INTEGER NOT NULL);
"""


def create(path: Path, spec: CollectionSpec, vfs: str) -> apsw.Connection:
    """Make a store in a file that is not there, durably, and return its writer."""
    _require_safe_sqlite()
    db = _connect(path, vfs, apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE)
    summed = _has_checksums(vfs)
    if summed:
        db.reserve_bytes("main", RESERVED_BYTES)
    db.pragma("page_size", PAGE_BYTES)
    db.pragma("auto_vacuum", "INCREMENTAL")
    _configure_writer(db)
    with db:
        db.execute(TABLES)
        db.pragma("application_id", APPLICATION_ID)
        form = _format_of(spec, summed=summed)
        if spec.vectors:
            db.execute(FURTHER_TABLE + named.tables(len(spec.vectors)))
            form += SEVERAL_MORE
        db.pragma("user_version", form)
        write_meta(db, "next_ordinal", 1)
        write_meta(db, "versions_upto", 1)
        write_meta(db, "spec", spec_to_json(spec))
    # What every use of the store needs does not hang on the log.
    db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    return db


def open_writer(path: Path, vfs: str) -> apsw.Connection:
    """Open a store's writing connection.

    Raises:
        StoreDamaged: what every use of it needs is damaged.
        Unavailable: STORE_FAILED, the file is missing, foreign, or of another form.
    """
    _require_safe_sqlite()
    try:
        db = _connect(path, vfs, apsw.SQLITE_OPEN_READWRITE)
        _check_form(db, vfs)
        _configure_writer(db)
    except (apsw.CantOpenError, apsw.NotADBError, apsw.CorruptError, apsw.IOError) as error:
        if is_damage(error) and _has_our_size(path):
            raise damaged("the collection's store") from error
        raise Unavailable(
            "the collection's store cannot be opened: restore it from a backup",
            reason=Reason.STORE_FAILED,
        ) from error
    return db


def open_reader(path: Path, vfs: str) -> apsw.Connection:
    """Open a reading connection."""
    return _connect(path, vfs, apsw.SQLITE_OPEN_READONLY)


def open_unchanging(path: Path) -> apsw.Connection:
    """Open a file that nobody writes, and that may have been made to do harm."""
    # Immutable: SQLite then neither locks nor makes files beside it.
    flags = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
    name = f"{path.resolve().as_uri()}?immutable=1"
    db = apsw.Connection(name, flags=flags, vfs=checksums.layer() or None)
    db.pragma("trusted_schema", False)
    db.pragma("cell_size_check", True)
    return db


def open_copy(path: Path) -> apsw.Connection:
    """Make an empty file for a copy, of which nothing counts before it is synced."""
    db = apsw.Connection(str(path), vfs=checksums.layer() or None)
    db.pragma("journal_mode", "off")
    db.pragma("synchronous", "off")
    db.pragma("cache_size", -4_096)
    return db


def fold_in_log(path: Path) -> None:
    """Fold a store's log into it, beside the writer, as far as no reader needs it.

    Raises:
        apsw.Error: another connection is at it, or the disk is full or fails.
    """
    with closing(_connect(path, "", apsw.SQLITE_OPEN_READWRITE)) as db:
        db.pragma("synchronous", "FULL")
        db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)


@contextmanager
def one_moment(db: apsw.Connection) -> Iterator[None]:
    """Have all reads of the block see one state of the store."""
    db.execute("BEGIN")
    try:
        yield
    finally:
        if db.in_transaction:  # damage has ended it
            db.execute("ROLLBACK")


def read_meta(db: apsw.Connection, key: str) -> int | bytes:
    """Read a value that every store holds."""
    value: int | bytes = db.execute("SELECT value FROM meta WHERE key = ?", (key,)).get
    return value


def write_meta(db: apsw.Connection, key: str, value: int | bytes) -> None:
    """Set a value, within the caller's transaction."""
    db.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", (key, value))


def spec_to_json(spec: CollectionSpec) -> bytes:
    """Write a spec as JSON."""
    fields = asdict(spec)
    if not spec.vectors:  # releases before there were any read it
        del fields["vectors"]
    return orjson.dumps(fields)


def spec_from_json(data: bytes) -> CollectionSpec:
    """Read what `spec_to_json` wrote."""
    raw = orjson.loads(data)
    index = raw.pop("index")
    duplicates = raw.pop("duplicates")
    calibration = raw.pop("calibration", None)
    named_vectors = raw.pop("vectors", ())
    return CollectionSpec(
        **raw,
        vectors=tuple(NamedVectors(**each) for each in named_vectors),
        index=IndexSettings.from_json(index),
        duplicates=DuplicateSettings(
            policy=DuplicatePolicy(duplicates["policy"]), threshold=duplicates["threshold"]
        ),
        calibration=None if calibration is None else Calibration.from_json(calibration),
    )


def _connect(path: Path, vfs: str, flags: int) -> apsw.Connection:
    db = apsw.Connection(str(path), flags=flags, vfs=vfs or checksums.layer() or None)
    db.set_busy_timeout(BUSY_MS)
    db.pragma("cell_size_check", True)
    return db


def _has_checksums(vfs: str) -> bool:
    return not vfs and bool(checksums.layer())


def _format_of(spec: CollectionSpec, *, summed: bool) -> int:
    if spec.index.dtype is Dtype.I4:
        return NIBBLES_FORMAT if summed else NIBBLES_PLAIN_FORMAT
    return FORMAT_VERSION if summed else PLAIN_FORMAT


def _configure_writer(db: apsw.Connection) -> None:
    db.pragma("journal_mode", "wal")
    db.pragma("synchronous", "FULL")
    # SQLite's own automatic checkpoint hides its errors, an fsync error among
    # them, and tries again later: the writer calls for checkpoints itself.
    db.set_wal_hook(None)
    db.wal_autocheckpoint(0)
    db.pragma("journal_size_limit", 256 << 20)
    db.pragma("cache_size", -65_536)
    # What was deleted is overwritten with zeros, within pages and as whole pages.
    db.pragma("secure_delete", True)


def _check_form(db: apsw.Connection, vfs: str) -> None:
    if db.pragma("application_id") != APPLICATION_ID:
        raise Unavailable(
            "the collection's store is not a Lookalike store: restore it from a backup",
            reason=Reason.STORE_FAILED,
        )
    found = db.pragma("user_version")
    if found not in READABLE_FORMATS:
        raise Unavailable(
            f"the collection's store has format {found}; this release reads up to "
            f"{max(READABLE_FORMATS)}: use the release that wrote it, or restore a backup of "
            "this one",
            reason=Reason.STORE_FAILED,
        )
    if found in SUMMED_FORMATS and not _has_checksums(vfs):
        raise Unavailable(
            "the collection's store has checksums, which this build of apsw cannot write:"
            " install a wheel of apsw that has cksumvfs",
            reason=Reason.STORE_FAILED,
        )


def _has_our_size(path: Path) -> bool:
    """Tell a store whose first page is gone from an empty file or another program's."""
    size = path.stat().st_size
    return size > 0 and size % PAGE_BYTES == 0


def _require_safe_sqlite() -> None:
    major, minor, patch = (int(part) for part in apsw.sqlite_lib_version().split(".")[:3])
    backport = SAFE_BACKPORTS.get((major, minor))
    if (major, minor, patch) >= FIRST_SAFE_VERSION or (backport and patch >= backport):
        return
    raise Unavailable(
        f"SQLite {major}.{minor}.{patch} can corrupt the store: install apsw 3.54 or later",
        reason=Reason.STORE_FAILED,
    )
