"""Sends the pictures that the new collection lacks, from a folder of originals."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import TypeAlias

from lookalike.wire.errors import (
    Exhausted,
    ImageTooLarge,
    ImageUnreadable,
    InvalidField,
    LookalikeError,
)
from lookalike_client import Client
from lookalike_client.moving.originals import Originals
from lookalike_client.types import MissingItem

# Files of one call: the service takes 64, and a message of up to 64 MiB.
_MOST_FILES = 32
_MOST_BYTES = 16 << 20
_MOST_ITEM_BYTES = 63 << 20

# Pictures of an item, the first one first.
Pictures: TypeAlias = tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a picture is offered again that is refused for now.

    Every `again_after_s`: one for which there is no room while there is for others
    `most_tries` times; and any, where there is none for `still_s`.
    """

    again_after_s: float = 0.5
    most_tries: int = 5
    still_s: float = 60.0


@dataclass(slots=True)
class Filled:
    """What became of a run: items queued, items without a file, and refused ones, each with
    how often it was offered. `waiting` says why nothing is taken now, "" where something is."""

    queued: int = 0
    without_file: list[str] = field(default_factory=list)
    refused: dict[str, LookalikeError] = field(default_factory=dict)
    tries: Counter[str] = field(default_factory=Counter)
    waiting: str = ""


def fill(
    client: Client,
    target: str,
    originals: Originals,
    *,
    accept_changed: bool,
    progress: Callable[[Filled], None],
    patience: Patience = Patience(),
) -> Filled:
    """Offer all that `target` lacks; ends when nothing more of it is in the folder.

    A run that was broken off is made again: what is queued or there is not sent twice.
    What cannot be read, is refused, or was offered as often as `patience` allows, is told,
    and the others go on.

    Raises:
        Exhausted: the service takes nothing more.
        LookalikeError: the service refuses the call, or stays away.
    """
    run = _Run(client, target, patience, progress, accept_changed=accept_changed)
    missing = client.reembeddings.missing(target)
    for batch in _batches(missing, originals, run.filled, accept_changed=accept_changed):
        run.send(batch)
    return run.filled


class _Run:
    """Offers batches, and notes what became of them."""

    def __init__(
        self,
        client: Client,
        target: str,
        patience: Patience,
        progress: Callable[[Filled], None],
        *,
        accept_changed: bool,
    ) -> None:
        self.filled = Filled()
        self._client = client
        self._target = target
        self._patience = patience
        self._progress = progress
        self._accept_changed = accept_changed
        self._moved_s = time.monotonic()
        self._gave_up = False

    def send(self, batch: Mapping[str, Pictures]) -> None:
        """Offer a batch until each picture of it is taken or given up."""
        self._moved_s = time.monotonic()
        left = dict(batch)
        while left:
            refused = self._offer(left)
            if len(refused) < len(left):
                self._moved_s = time.monotonic()
                self._gave_up = False
                self._give_up(refused, least_tries=self._patience.most_tries)
            elif time.monotonic() >= self._moved_s + self._patience.still_s:
                if self._gave_up:  # and the batch before: it is not about these pictures
                    raise self._stands_still(next(iter(refused.values())))
                self._gave_up = True
                self._give_up(refused)
            still = len(refused) == len(left)
            self.filled.waiting = next(iter(refused.values())).message if still else ""
            left = {id: left[id] for id in refused}
            self._progress(self.filled)
            if left:
                time.sleep(self._patience.again_after_s)

    def _offer(self, batch: Mapping[str, Pictures]) -> dict[str, LookalikeError]:
        """Offer a batch; return what may be offered again, with the reason."""
        filled = self.filled
        outcomes = self._client.reembeddings.offer(
            self._target, batch, accept_changed=self._accept_changed
        )
        again = {}
        for outcome in outcomes:
            filled.tries[outcome.id] += 1
            if outcome.error is None:
                filled.queued += outcome.queued
                del filled.tries[outcome.id]
            elif outcome.error.retryable:
                again[outcome.id] = outcome.error
            else:
                filled.refused[outcome.id] = outcome.error
        return again

    def _give_up(self, refused: dict[str, LookalikeError], *, least_tries: int = 0) -> None:
        for id in [id for id in refused if self.filled.tries[id] >= least_tries]:
            self.filled.refused[id] = refused.pop(id)

    def _stands_still(self, error: LookalikeError) -> Exhausted:
        return Exhausted(
            f"{self._target} takes no pictures for {self._patience.still_s:,.0f} s: "
            f"{error.message}; `lookalike status` says whether workers take what is queued. Made "
            "again, the command goes on from here",
        )


def _batches(
    missing: Iterator[MissingItem], originals: Originals, filled: Filled, *, accept_changed: bool
) -> Iterator[dict[str, Pictures]]:
    while some := list(islice(missing, _MOST_FILES)):
        batch: dict[str, Pictures] = {}
        nbytes = 0
        for item in some:
            pictures = _pictures(item, originals, filled, accept_changed=accept_changed)
            if not pictures:
                continue
            size = sum(map(len, pictures))
            if batch and nbytes + size > _MOST_BYTES:
                yield batch
                batch, nbytes = {}, 0
            batch[item.id] = pictures
            nbytes += size
        if batch:
            yield batch


def _pictures(
    item: MissingItem, originals: Originals, filled: Filled, *, accept_changed: bool
) -> Pictures:
    """Read the files of an item; none where that is noted as the reason."""
    try:
        paths = originals.of(item, accept_changed=accept_changed)
        if not paths:
            filled.without_file.append(item.id)
            return ()
        if len(paths) < item.pictures:
            raise _several(item, len(paths))
        size = sum(path.stat().st_size for path in paths)
        if size > _MOST_ITEM_BYTES:
            raise ImageTooLarge(
                f"{paths[0]}{' and its others' * (len(paths) > 1)} have {size:,} bytes; at most "
                f"{_MOST_ITEM_BYTES:,} are sent"
            )
        pictures = tuple(path.read_bytes() for path in paths)
        if not all(pictures):
            raise ImageUnreadable(f"{paths[pictures.index(b'')]} is empty")
    except FileNotFoundError:  # it went since the folder was read
        filled.without_file.append(item.id)
    except OSError as error:
        filled.refused[item.id] = ImageUnreadable(
            f"{error.filename} cannot be read: {error.strerror}"
        )
    except LookalikeError as error:
        filled.refused[item.id] = error
    else:
        return pictures
    return ()


def _several(item: MissingItem, found: int) -> InvalidField:
    return InvalidField(
        "images",
        f"has {item.pictures} pictures, and {found} of them could be told in the folder: name all "
        "with --metadata-csv and --item-column, as they were indexed, or submit the item again",
    )
