"""What two items that may be the same picture are to one another: the cheapest proof first."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache

import numpy as np

from search_service.analysis.checkpoint import Arrays, Checkpoint
from search_service.analysis.duplicates.greys import decoded
from search_service.analysis.duplicates.turned_candidates import TurnedSketches
from search_service.analysis.duplicates.turns import lies_across, turned
from search_service.analysis.duplicates.verification import PAIRS_AT_ONCE, compared
from search_service.analysis.facts import PictureFacts
from search_service.analysis.jobs import Progress
from search_service.domain.arrays import F32, F64, I64, U8, Flags

# 4 KiB each: 128 MiB at most.
_GREYS_KEPT = 32_768


class Kind(IntEnum):
    """The surest first."""

    BYTE_IDENTICAL = 1
    PIXEL_IDENTICAL = 2
    COPY = 3
    # Near, and nothing more is known of one of the two.
    UNVERIFIED = 4
    SIMILAR = 5
    # Below the threshold, and no copy.
    APART = 6


@dataclass(frozen=True, slots=True)
class Told:
    """What pairs are: `kinds` int64 [P]; `agreement` float64 [P] of what was compared; `ways`
    int64 [P], as the first of a copy was turned to be the second: see `turns.py`."""

    kinds: I64
    agreement: F64
    ways: I64


class PairKinds:
    """Tells the kinds of pairs of items."""

    def __init__(
        self,
        facts: PictureFacts,
        threads: int,
        kept: Checkpoint,
        turned: TurnedSketches | None = None,
    ) -> None:
        """With `turned`, copies that are turned or mirrored are told too."""
        self._facts = facts
        self._turned = turned
        self._kept = kept
        self._threads = threads
        self._grey = lru_cache(_GREYS_KEPT)(self._decoded)
        self._has_grey = np.array([bool(each) for each in facts.greys], dtype=np.bool_)

    def of_pairs(
        self,
        first: I64,
        second: I64,
        scores: F32,
        threshold: float,
        report: Callable[[Progress], None],
        *,
        as_they_are: bool = True,
    ) -> Told:
        """Return what pairs are.

        `first`, `second` are rows, int64 [P]; `scores` their cosines. Without `as_they_are`,
        pictures are compared only turned.
        """
        facts = self._facts
        near = scores >= threshold
        kinds = np.where(near, Kind.SIMILAR, Kind.APART).astype(np.int64)
        agreement = np.zeros(len(first))
        comparable = self._has_grey[first] & self._has_grey[second]
        kinds[near & ~comparable] = Kind.UNVERIFIED
        same_pixels = (facts.pictures[first] == facts.pictures[second]) & (
            facts.pictures[first] >= 0
        )
        same_file = (facts.files[first] == facts.files[second]) & (facts.files[first] >= 0)
        kinds[same_pixels] = Kind.PIXEL_IDENTICAL
        kinds[same_file] = Kind.BYTE_IDENTICAL
        agreement[same_pixels | same_file] = 1.0
        compare = np.flatnonzero(comparable & ~same_pixels & ~same_file)
        ways = np.zeros(len(first), dtype=np.int64)
        if as_they_are:
            copies, shares = self._told(first[compare], second[compare], None, report)
            kinds[compare[copies]] = Kind.COPY
            agreement[compare] = shares
        if self._turned is not None:
            ways[compare] = self._turned.ways(first[compare], second[compare])
            compare = np.flatnonzero(ways)
            copies, shares = self._told(first[compare], second[compare], ways[compare], report)
            # One that is nearly the same in a mirror is a copy either way: as it agrees most.
            better = copies & ((kinds[compare] != Kind.COPY) | (shares > agreement[compare]))
            ways[compare[~better]] = 0
            kinds[compare[better]] = Kind.COPY
            agreement[compare[better]] = shares[better]
        return Told(kinds, agreement, ways)

    def _told(
        self, first: I64, second: I64, ways: I64 | None, report: Callable[[Progress], None]
    ) -> tuple[Flags, F64]:
        """Return which pairs are copies, and their agreement; compared as they are or turned."""
        copies, agreement = np.zeros(len(first), dtype=np.bool_), np.zeros(len(first))
        parts = [
            slice(start, start + PAIRS_AT_ONCE) for start in range(0, len(first), PAIRS_AT_ONCE)
        ]

        def told(part: slice) -> Arrays:
            return self._kept_or_compared(
                first[part], second[part], None if ways is None else ways[part]
            )

        done = 0
        stage = "comparing pictures" if ways is None else "comparing turned pictures"
        with ThreadPoolExecutor(self._threads, thread_name_prefix="compare") as pool:
            for part, (found, shares) in zip(parts, pool.map(told, parts), strict=True):
                copies[part], agreement[part] = found, shares
                done += len(found)
                report(Progress(stage, done, len(first)))
        return copies, agreement

    def _kept_or_compared(self, first: I64, second: I64, ways: I64 | None) -> Arrays:
        """As `_compared`, from what is kept where it is; a few pairs are not worth it."""
        if len(first) < PAIRS_AT_ONCE:
            return self._compared(first, second, ways)
        name = (first, second) if ways is None else (first, second, ways)
        return self._kept.done(name, lambda: self._compared(first, second, ways))

    def _compared(self, first: I64, second: I64, ways: I64 | None) -> tuple[Flags, F64]:
        facts = self._facts
        ratio = facts.width_px / np.maximum(facts.height_px, 1)
        # Facts may come from callers: a size of 0 says nothing of the proportions.
        known = np.where((facts.width_px > 0) & (facts.height_px > 0), ratio, 1.0)
        one = np.stack([self._grey(int(row)) for row in first]).astype(np.float32)
        other = np.stack([self._grey(int(row)) for row in second]).astype(np.float32)
        own = known[first]
        if ways is not None:
            for at, way in enumerate(ways.tolist()):
                one[at] = turned(one[at], way)
            own = np.where(lies_across(ways), 1.0 / own, own)
        found = compared(one, other, known[second] / own)
        return found.copies, found.agreement

    def _decoded(self, row: int) -> U8:
        return decoded(self._facts.greys[row])
