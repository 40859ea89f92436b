"""The two ends of a range, in the form in which columns take them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from search_service.filters.ast import Range, Scalar

V = TypeVar("V", str, float, int)


@dataclass(frozen=True, slots=True)
class Bounds(Generic[V]):
    """Ends of a range; None leaves an end open."""

    low: V | None
    low_included: bool
    high: V | None
    high_included: bool

    def holds(self, value: V) -> bool:
        """Whether `value` lies in the range."""
        if self.low is not None and not (
            value >= self.low if self.low_included else value > self.low
        ):
            return False
        return self.high is None or (
            value <= self.high if self.high_included else value < self.high
        )


def range_bounds(node: Range, unwrap: Any) -> Bounds[Any]:
    """Read the ends of `node`, with `unwrap` applied to each.

    Where both forms of one end are given, the narrower one holds.
    """
    low, low_included = _narrower(node.at_least, node.greater_than, unwrap, max)
    high, high_included = _narrower(node.at_most, node.less_than, unwrap, min)
    return Bounds(low, low_included, high, high_included)


def _narrower(
    included: Scalar | None, excluded: Scalar | None, unwrap: Any, pick: Any
) -> tuple[Any, bool]:
    if included is None:
        return (None if excluded is None else unwrap(excluded)), False
    if excluded is None:
        return unwrap(included), True
    inner, outer = unwrap(included), unwrap(excluded)
    return (outer, False) if pick(inner, outer) == outer else (inner, True)
