"""Sends the pictures that the new collection lacks, from a folder of originals."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from lookalike.wire.errors import ImageTooLarge, LookalikeError
from lookalike_client import Client
from lookalike_client.indexing.scan import FileEntry
from lookalike_client.types import MissingItem

# Files of one call: the service takes 64, and a message of up to 64 MiB.
_MOST_FILES = 32
_MOST_BYTES = 16 << 20
_MOST_FILE_BYTES = 63 << 20
_AGAIN_AFTER_S = 0.5
_PIECE_BYTES = 1 << 20


@dataclass(slots=True)
class Filled:
    """What became of a run: pictures queued, items without a file, and refused pictures."""

    queued: int = 0
    without_file: list[str] = field(default_factory=list)
    refused: dict[str, LookalikeError] = field(default_factory=dict)


class Originals:
    """Files by the ids that they would be indexed under, and by what is in them."""

    def __init__(self, files: Sequence[FileEntry]) -> None:
        self._files = files
        self._by_id = {each.id: each.path for each in files}
        self._by_hash: Mapping[bytes, Path] | None = None

    def of(self, item: MissingItem, *, accept_changed: bool = False) -> Path | None:
        """Return the file of an item: the one that was indexed, wherever it lies now.

        Where nobody knows which that was, or with `accept_changed`, the one of its id.
        """
        named = self._by_id.get(item.id)
        if not item.sha256 or (named is not None and sha256_of(named) == item.sha256):
            return named
        if self._by_hash is None:
            self._by_hash = {sha256_of(each.path): each.path for each in self._files}
        found = self._by_hash.get(item.sha256)
        return named if found is None and accept_changed else found


def fill(
    client: Client,
    target: str,
    originals: Originals,
    *,
    accept_changed: bool,
    progress: Callable[[Filled], None],
) -> Filled:
    """Offer all that `target` lacks; ends when nothing more of it is in the folder.

    A run that was broken off is made again: what is queued or there is not sent twice.

    Raises:
        LookalikeError: the service refuses the call, or stays away.
        OSError: a file cannot be read.
    """
    filled = Filled()
    missing = client.reembeddings.missing(target)
    for batch in _batches(missing, originals, filled, accept_changed=accept_changed):
        left = batch
        while left:
            left = _offer(client, target, left, filled, accept_changed=accept_changed)
            progress(filled)
            if left:
                time.sleep(_AGAIN_AFTER_S)
    return filled


def sha256_of(path: Path) -> bytes:
    """Return the SHA-256 of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_PIECE_BYTES):
            digest.update(piece)
    return digest.digest()


def _offer(
    client: Client, target: str, batch: Mapping[str, Path], filled: Filled, *, accept_changed: bool
) -> dict[str, Path]:
    """Offer a batch; return what is to be offered again, since there was no room."""
    again = {}
    outcomes = client.reembeddings.offer(target, batch, accept_changed=accept_changed)
    for outcome in outcomes:
        if outcome.error is None:
            filled.queued += outcome.queued
        elif outcome.error.retryable:
            again[outcome.id] = batch[outcome.id]
        else:
            filled.refused[outcome.id] = outcome.error
    return again


def _batches(
    missing: Iterator[MissingItem], originals: Originals, filled: Filled, *, accept_changed: bool
) -> Iterator[dict[str, Path]]:
    while some := list(islice(missing, _MOST_FILES)):
        batch: dict[str, Path] = {}
        nbytes = 0
        for item in some:
            path = originals.of(item, accept_changed=accept_changed)
            if path is None:
                filled.without_file.append(item.id)
                continue
            size = path.stat().st_size
            if size > _MOST_FILE_BYTES:
                filled.refused[item.id] = ImageTooLarge(
                    f"{path} has {size:,} bytes; at most {_MOST_FILE_BYTES:,} are sent"
                )
                continue
            if batch and nbytes + size > _MOST_BYTES:
                yield batch
                batch, nbytes = {}, 0
            batch[item.id] = path
            nbytes += size
        if batch:
            yield batch
