"""The two ends of a range, in the form in which columns take them."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from search_service.domain.conditions import Instant, Range, Scalar

# Keys of a column: UTF-8 text (whose order is that of code points), float64, or
# microseconds since 1970.
K = TypeVar("K", bytes, float, int)


@dataclass(frozen=True, slots=True)
class Bounds(Generic[K]):
    """Ends of a range; None leaves an end open."""

    low: K | None
    low_included: bool
    high: K | None
    high_included: bool

    def holds(self, key: K) -> bool:
        """Whether `key` lies in the range."""
        if self.low is not None and not (key >= self.low if self.low_included else key > self.low):
            return False
        return self.high is None or (key <= self.high if self.high_included else key < self.high)

    def span(self, keys: Sequence[K]) -> tuple[int, int]:
        """First and one past the last position of the sorted `keys` that lie in the range."""
        low, high = 0, len(keys)
        if self.low is not None:
            low = (bisect_left if self.low_included else bisect_right)(keys, self.low)
        if self.high is not None:
            high = (bisect_right if self.high_included else bisect_left)(keys, self.high)
        return low, max(low, high)


EVERYTHING: Bounds[Any] = Bounds(None, False, None, False)


def prefix_bounds(prefix: bytes) -> Bounds[bytes]:
    """The range of UTF-8 texts that begin with `prefix`, which is not empty."""
    # 0xFF never occurs in UTF-8, so the last byte can be raised by one.
    return Bounds(prefix, True, prefix[:-1] + bytes((prefix[-1] + 1,)), False)


def range_kind(node: Range) -> type[Scalar]:
    """The kind of the bounds, which they share."""
    for bound in _ends(node):
        if bound is not None:
            return type(bound)
    raise ValueError("a range has at least one bound")


def text_bounds(node: Range) -> Bounds[bytes]:
    """The ends of a range, as far as they are strings."""
    at_least, greater_than, at_most, less_than = (
        encode(bound) if isinstance(bound, str) else None for bound in _ends(node)
    )
    return _bounds(at_least, greater_than, at_most, less_than)


def number_bounds(node: Range) -> Bounds[float]:
    """The ends of a range, as far as they are numbers."""
    at_least, greater_than, at_most, less_than = (
        float(bound) if isinstance(bound, float | int) else None for bound in _ends(node)
    )
    return _bounds(at_least, greater_than, at_most, less_than)


def instant_bounds(node: Range) -> Bounds[int]:
    """The ends of a range, as far as they are points in time."""
    at_least, greater_than, at_most, less_than = (
        bound.epoch_us if isinstance(bound, Instant) else None for bound in _ends(node)
    )
    return _bounds(at_least, greater_than, at_most, less_than)


def encode(text: str) -> bytes:
    """A string as a key; halves of surrogate pairs stay what they are."""
    return text.encode("utf-8", "surrogatepass")


def _ends(node: Range) -> tuple[Scalar | None, ...]:
    return node.at_least, node.greater_than, node.at_most, node.less_than


def _bounds(
    at_least: K | None, greater_than: K | None, at_most: K | None, less_than: K | None
) -> Bounds[K]:
    """Where both forms of one end are given, the narrower one holds."""
    low, low_included = at_least, True
    if greater_than is not None and (low is None or greater_than >= low):
        low, low_included = greater_than, False
    high, high_included = at_most, True
    if less_than is not None and (high is None or less_than <= high):
        high, high_included = less_than, False
    return Bounds(low, low_included, high, high_included)
