"""Which files the items of a collection were made of."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from lookalike.wire.digests import digest_of_digests
from lookalike_client.indexing.scan import FileEntry
from lookalike_client.types import MissingItem

_PIECE_BYTES = 1 << 20


class Originals:
    """Files by the ids that they would be indexed under, and by what is in them."""

    def __init__(self, files: Sequence[FileEntry]) -> None:
        self._files = files
        self._by_id = {each.id: each for each in files}
        self._by_hash: Mapping[bytes, Sequence[FileEntry]] | None = None

    def of(self, item: MissingItem, *, accept_changed: bool = False) -> tuple[Path, ...]:
        """Return the files of an item, in their order; none where they are not there.

        They are those that it was made of, wherever they lie now; where nobody knows which
        those were, or with `accept_changed`, those of its id. Of an item with several
        pictures it may be the first alone.

        Raises:
            OSError: a file cannot be read.
        """
        named = self._by_id.get(item.id)
        if not item.sha256 or (named is not None and _is_of(item, named)):
            return _paths(named)
        if self._by_hash is None:
            self._by_hash = self._hashed()
        found = self._by_hash.get(item.sha256, ())
        for entry in found:
            if _is_of(item, entry):
                return _paths(entry)
        if accept_changed and named is not None:
            return _paths(named)
        return (found[0].path,) if found else ()

    def _hashed(self) -> dict[bytes, list[FileEntry]]:
        found: dict[bytes, list[FileEntry]] = {}
        for each in self._files:
            alone = [replace(each, path=path, further=()) for path in each.further]
            for entry in (each, *alone):
                with suppress(OSError):  # what cannot be read is no item's that is found by it
                    found.setdefault(sha256_of(entry.path), []).append(entry)
        return found


def sha256_of(path: Path) -> bytes:
    """Return the SHA-256 of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_PIECE_BYTES):
            digest.update(piece)
    return digest.digest()


def _is_of(item: MissingItem, entry: FileEntry) -> bool:
    """Say whether an item was made of just these files."""
    if sha256_of(entry.path) != item.sha256:
        return False
    return digest_of_digests(map(sha256_of, entry.further)) == item.further_sha256


def _paths(entry: FileEntry | None) -> tuple[Path, ...]:
    return () if entry is None else (entry.path, *entry.further)
