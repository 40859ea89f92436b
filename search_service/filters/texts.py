"""Which texts of a column a text condition fits, one by one or many in one run of bytes."""

from __future__ import annotations

import itertools
from bisect import bisect_right
from dataclasses import dataclass
from typing import Any

import numpy as np

from search_service.domain.arrays import I64, U8, Flags
from search_service.domain.conditions import Text, TextMatch
from search_service.filters.bounds import encode
from search_service.filters.patterns import compiled


@dataclass(frozen=True, slots=True)
class Run:
    """Texts in one run of UTF-8: text i is blob[offsets[i]:offsets[i + 1]], int64 [n + 1]."""

    blob: bytes
    offsets: I64

    def __len__(self) -> int:
        """Count texts."""
        return len(self.offsets) - 1

    def folded(self) -> Run:
        """Return the texts as `str.casefold` makes them."""
        if self.blob.isascii():
            return Run(self.blob.lower(), self.offsets)
        texts = [fold(self.text(i)) for i in range(len(self))]
        lengths = np.fromiter(map(len, texts), np.int64, len(texts))
        return Run(b"".join(texts), np.concatenate((np.zeros(1, np.int64), np.cumsum(lengths))))

    def text(self, index: int) -> bytes:
        """Return one text."""
        return self.blob[self.offsets[index] : self.offsets[index + 1]]


@dataclass(frozen=True, slots=True)
class TextTest:
    """A text condition without its field; equal ones find the same."""

    match: TextMatch
    text: str
    ignore_case: bool

    @staticmethod
    def of(node: Text) -> TextTest:
        """Return the test of a condition."""
        return TextTest(node.match, node.text, node.ignore_case)

    @property
    def needle(self) -> bytes:
        """What is looked for, as keys are written."""
        return encode(self.text.casefold() if self.ignore_case else self.text)

    def fits(self, key: bytes) -> bool:
        """Say whether one text fits."""
        if self.match is TextMatch.REGEX:
            return compiled(self.text).search(key) is not None
        held, needle = fold(key) if self.ignore_case else key, self.needle
        if self.match is TextMatch.EQUALS:
            return held == needle
        if self.match is TextMatch.STARTS_WITH:
            return held.startswith(needle)
        return held.endswith(needle) if self.match is TextMatch.ENDS_WITH else needle in held

    def fitting(self, run: Run) -> Flags:
        """Say which texts fit: bool [n]. `run` is folded where the test ignores case."""
        if self.match is TextMatch.REGEX:
            return _found(run, compiled(self.text).search)
        needle = self.needle
        if self.match is TextMatch.CONTAINS:
            return _containing(run, needle)
        starts, lengths = run.offsets[:-1], np.diff(run.offsets)
        if self.match is TextMatch.EQUALS:
            return _standing(run, starts, lengths == len(needle), needle)
        if self.match is TextMatch.ENDS_WITH:
            starts = run.offsets[1:] - len(needle)
        return _standing(run, starts, lengths >= len(needle), needle)


def fold(key: bytes) -> bytes:
    """Return a text without its case, by Unicode's full case folding."""
    if key.isascii():
        return key.lower()
    return encode(key.decode("utf-8", "surrogatepass").casefold())


def _found(run: Run, search: Any) -> Flags:
    blob, pairs = run.blob, itertools.pairwise(run.offsets.tolist())
    return np.fromiter(
        (search(blob[start:end]) is not None for start, end in pairs), np.bool_, len(run)
    )


def _containing(run: Run, needle: bytes) -> Flags:
    """One search through all texts, which goes on behind each text that it finds."""
    flags = np.zeros(len(run), np.bool_)
    blob, ends = run.blob, memoryview(run.offsets.data)[1:]
    text, at = 0, blob.find(needle)
    while at >= 0:
        text = bisect_right(ends, at, text)
        end = ends[text]
        if at + len(needle) <= end:
            flags[text] = True
            at = blob.find(needle, end)
        else:  # it lies across the end of a text
            at = blob.find(needle, at + 1)
    return flags


def _standing(run: Run, starts: I64, possible: Flags, needle: bytes) -> Flags:
    """Say for which of the possible texts `needle` stands at `starts`."""
    octets: U8 = np.frombuffer(run.blob, np.uint8)
    left = np.flatnonzero(possible)
    for place, octet in enumerate(needle):
        left = left[octets[starts[left] + place] == octet]
    flags = np.zeros(len(run), np.bool_)
    flags[left] = True
    return flags
