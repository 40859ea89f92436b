"""What two items that may be the same picture are to one another: the cheapest proof first."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from enum import IntEnum
from functools import lru_cache

import numpy as np

from search_service.analysis.checkpoint import Arrays, Checkpoint
from search_service.analysis.duplicates.greys import decoded
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


class PairKinds:
    """Tells the kinds of pairs of items."""

    def __init__(self, facts: PictureFacts, threads: int, kept: Checkpoint) -> None:
        self._facts = facts
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
    ) -> tuple[I64, F64]:
        """Return the kinds, int64 [P], and for what was compared the agreement, float64 [P].

        `first`, `second` are rows, int64 [P]; `scores` their cosines.
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
        parts = [
            compare[start : start + PAIRS_AT_ONCE]
            for start in range(0, len(compare), PAIRS_AT_ONCE)
        ]
        done = 0
        with ThreadPoolExecutor(self._threads, thread_name_prefix="compare") as pool:
            found = pool.map(lambda part: self._told(first[part], second[part]), parts)
            for part, (copies, shares) in zip(parts, found, strict=True):
                kinds[part[copies]] = Kind.COPY
                agreement[part] = shares
                done += len(part)
                report(Progress("comparing pictures", done, len(compare)))
        return kinds, agreement

    def _told(self, first: I64, second: I64) -> Arrays:
        """As `_compared`, from what is kept where it is; a few pairs are not worth it."""
        if len(first) < PAIRS_AT_ONCE:
            return self._compared(first, second)
        return self._kept.done((first, second), lambda: self._compared(first, second))

    def _compared(self, first: I64, second: I64) -> tuple[Flags, F64]:
        facts = self._facts
        ratio = facts.width_px / np.maximum(facts.height_px, 1)
        # Facts may come from callers: a size of 0 says nothing of the proportions.
        known = np.where((facts.width_px > 0) & (facts.height_px > 0), ratio, 1.0)
        one = np.stack([self._grey(int(row)) for row in first]).astype(np.float32)
        other = np.stack([self._grey(int(row)) for row in second]).astype(np.float32)
        found = compared(one, other, known[second] / known[first])
        return found.copies, found.agreement

    def _decoded(self, row: int) -> U8:
        return decoded(self._facts.greys[row])
