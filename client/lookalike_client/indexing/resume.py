"""Tells which files are stored as they are, and need not be sent again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lookalike_client import Client, structs
from lookalike_client.indexing.scan import FileEntry
from lookalike_client.inputs import ImageItem, MetadataItem
from lookalike_client.types import Fields, Item, Metadata

# Files whose stored facts are asked for in one request.
_CHUNK = 500
_FACTS = Fields(metadata=True, facts=True)


@dataclass(frozen=True, slots=True)
class Unchanged:
    """A file that is stored already, with the same bytes and metadata."""

    id: str


def compare(
    client: Client,
    collection: str,
    files: Sequence[FileEntry],
    metadata: Mapping[str, Metadata],
) -> Iterator[Unchanged | ImageItem | MetadataItem]:
    """Yield what there is to do for each file.

    A file whose bytes are stored and whose metadata differs has only its metadata
    replaced. Reads the files that are stored under their id already.
    """
    for start in range(0, len(files), _CHUNK):
        chunk = files[start : start + _CHUNK]
        page = client.get(collection, [file.id for file in chunk], fields=_FACTS)
        stored = {item.id: item for item in page.items}
        for file in chunk:
            yield _compare(file, metadata.get(file.key, {}), stored.get(file.id))


def _compare(
    file: FileEntry, metadata: Metadata, stored: Item | None
) -> Unchanged | ImageItem | MetadataItem:
    if stored is None or stored.facts is None or stored.facts.sha256 != _sha256(file.path):
        return ImageItem(file.id, image=file.path, metadata=metadata)
    if structs.from_dict(stored.metadata) != structs.from_dict(metadata):
        return MetadataItem(file.id, metadata)
    return Unchanged(file.id)


def _sha256(path: Path) -> str:
    """Return the file's hash; empty where it cannot be read, which sending reports."""
    try:
        with path.open("rb") as handle:
            return hashlib.file_digest(handle, "sha256").hexdigest()
    except OSError:
        return ""
