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


@dataclass(frozen=True, slots=True)
class Wanted:
    """Metadata that was given, by file id; what is not given leaves what is stored.

    With `replaces`, a file that none is given for is to have none.
    """

    given: Mapping[str, Metadata]
    replaces: bool = False

    def of(self, file: FileEntry) -> Metadata | None:
        """Return the metadata that a file is to have; None to leave it alone."""
        return self.given.get(file.id, {} if self.replaces else None)


def compare(
    client: Client,
    collection: str,
    files: Sequence[FileEntry],
    wanted: Wanted,
    *,
    resend: bool = False,
) -> Iterator[Unchanged | ImageItem | MetadataItem]:
    """Yield what there is to do for each file.

    A file whose bytes are stored and whose metadata differs has only its metadata
    replaced. Reads the files that are stored under their id already. With `resend`
    all are sent, and so is always an item of several files: only the first one's bytes
    are known from what is stored.
    """
    if resend:
        for file in files:
            yield _sent(file, wanted.of(file))
        return
    for start in range(0, len(files), _CHUNK):
        chunk = files[start : start + _CHUNK]
        page = client.get(collection, [file.id for file in chunk], fields=_FACTS)
        stored = {item.id: item for item in page.items}
        for file in chunk:
            yield _compare(file, wanted.of(file), stored.get(file.id))


def image_hashes(actions: Sequence[Unchanged | ImageItem | MetadataItem]) -> dict[str, str]:
    """Return the hashes of the files that are to be sent, by id."""
    files = [each for each in actions if isinstance(each, ImageItem)]
    hashes = {each.id: _sha256(each.image) for each in files if isinstance(each.image, Path)}
    return {item_id: sha256 for item_id, sha256 in hashes.items() if sha256}


def _compare(
    file: FileEntry, metadata: Metadata | None, stored: Item | None
) -> Unchanged | ImageItem | MetadataItem:
    facts = None if stored is None or file.further else stored.facts
    if stored is None or facts is None or facts.sha256 != _sha256(file.path):
        return _sent(file, metadata)
    if metadata is None:
        return Unchanged(file.id)
    if structs.from_dict(stored.metadata) != structs.from_dict(metadata):
        return MetadataItem(file.id, metadata)
    return Unchanged(file.id)


def _sent(file: FileEntry, metadata: Metadata | None) -> ImageItem:
    return ImageItem(file.id, image=file.path, metadata=metadata, further_images=file.further)


def _sha256(path: Path) -> str:
    """Return the file's hash; empty where it cannot be read, which sending reports."""
    try:
        with path.open("rb") as handle:
            return hashlib.file_digest(handle, "sha256").hexdigest()
    except OSError:
        return ""
