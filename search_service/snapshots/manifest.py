"""The manifest of a snapshot: what it is of, and a checksum for each of its files.

    manifest.json        this
    store.db             a consistent copy of the collection's store, one file
    reviews.db           a copy of the decisions on duplicates, where there are some
    hashes.db            a copy of the list of known hashes, where there is one
    segments/NAME/FILE   its sealed segments, hard links of the collection's own

A snapshot's identity is that of its manifest, and the name of its directory: so a copy that
is uploaded anywhere has the same one.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass
from typing import Any

from lookalike.wire.errors import SnapshotInvalid
from search_service.store.side_files import SIDE_FILES

# 2 has files beside the store. A snapshot without them is written as 1, which older releases
# read too.
PLAIN_FORMAT, SIDE_FILES_FORMAT = 1, 2
MANIFEST = "manifest.json"
STORE = "store.db"
SEGMENTS = "segments"
# 100 bytes a file; a segment of a million 512-d vectors has about 40.
MAX_MANIFEST_BYTES = 4 << 20

_PART = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}"
_SEGMENT_FILE = re.compile(rf"{SEGMENTS}/({_PART})/({_PART})")


@dataclass(frozen=True, slots=True)
class FileEntry:
    """A file: path below the snapshot, bytes, SHA-256 in hexadecimal."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a snapshot is; `files` in the order in which an archive holds them."""

    collection: str
    collection_uid: str
    dimension: int
    model_fingerprint: str
    items: int
    create_time_us: int
    segments: tuple[str, ...]
    files: tuple[FileEntry, ...]


def encode(manifest: Manifest) -> bytes:
    """Return the manifest as JSON, with a checksum of its own."""
    return _encode({**asdict(manifest), "format": _format_of(manifest)})


def identity(manifest: Manifest) -> str:
    """Return what a snapshot is called everywhere: 32 hexadecimal digits."""
    return hashlib.sha256(encode(manifest)).hexdigest()[:32]


def decode(data: bytes) -> Manifest:
    """Read what `encode` wrote; every byte is checked.

    Raises:
        SnapshotInvalid: it is damaged, foreign, of another format, or names files
            that no snapshot holds.
    """
    try:
        body = json.loads(data)["manifest"]
        # The format first: another one may well be written in another form.
        found = body["format"]
        if found not in (PLAIN_FORMAT, SIDE_FILES_FORMAT):
            raise SnapshotInvalid(
                f"the snapshot has format {found!r:.20}; this release reads {PLAIN_FORMAT} and "
                f"{SIDE_FILES_FORMAT}: use the release that made it"
            )
        if _encode(body) != data:
            raise SnapshotInvalid("the snapshot's manifest is damaged: take the archive again")
        manifest = _from_body(body)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise SnapshotInvalid("this is no snapshot: its manifest cannot be read") from error
    _check_names(manifest)
    if found != _format_of(manifest):
        raise SnapshotInvalid("this is no snapshot: its format is not that of its files")
    return manifest


def side_names(manifest: Manifest) -> list[str]:
    """Return the names of the files beside the store that a snapshot holds."""
    return [entry.name for entry in manifest.files if entry.name in SIDE_FILES]


def _format_of(manifest: Manifest) -> int:
    return SIDE_FILES_FORMAT if side_names(manifest) else PLAIN_FORMAT


def _encode(body: dict[str, Any]) -> bytes:
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":")).encode()
    whole = {"sha256": hashlib.sha256(canonical).hexdigest(), "manifest": body}
    return json.dumps(whole, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def _from_body(body: dict[str, Any]) -> Manifest:
    fields = {key: value for key, value in body.items() if key != "format"}
    files = tuple(FileEntry(**entry) for entry in fields.pop("files"))
    segments = tuple(fields.pop("segments"))
    return Manifest(**fields, segments=segments, files=files)


def _check_names(manifest: Manifest) -> None:
    """Refuse a file that lies anywhere else than a snapshot's files do."""
    names = [entry.name for entry in manifest.files]
    if names[:1] != [STORE] or len(set(names)) != len(names):
        raise SnapshotInvalid("this is no snapshot: it names its files otherwise")
    for name in names[1:]:
        if name in SIDE_FILES:
            continue
        found = _SEGMENT_FILE.fullmatch(name)
        if found is None or found[1] not in manifest.segments:
            raise SnapshotInvalid("this is no snapshot: it names a file that none has")
    if any(entry.size < 0 for entry in manifest.files):
        raise SnapshotInvalid("this is no snapshot: a file has a negative size")
