"""Where items stand in a list that is sorted by a metadata field."""

from __future__ import annotations

import heapq
from bisect import bisect_left
from collections.abc import Iterator, Sequence

import numpy as np

from search_service.domain.arrays import I64
from search_service.domain.conditions import Instant, Scalar
from search_service.domain.items import Order, Place
from search_service.filters.spread import Spread


def next_places(
    spread: Spread,
    everything: I64,
    ids: Sequence[str | None],
    order: Order,
    after: Place | None,
    count: int,
) -> list[Place]:
    """List up to `count` places after `after`.

    `everything` is int64 [n] ascending, the items to list; `ids` is by ordinal,
    None for one that was deleted meanwhile.
    """
    found: list[Place] = []
    for value, ordinals in _runs(spread, everything, order, after):
        floor = after.id if after is not None and _same(value, after.value) else ""
        names = (ids[ordinal] for ordinal in ordinals.tolist())
        wanted = (name for name in names if name is not None and name > floor)
        found += [Place(value, name) for name in heapq.nsmallest(count - len(found), wanted)]
        if len(found) == count:
            break
    return found


def sort_key(value: Scalar) -> tuple[int, Scalar]:
    """Order values of all kinds: false, true, numbers, strings by code points."""
    assert not isinstance(value, Instant), "points in time are listed as their strings"
    return (0 if isinstance(value, bool) else 1 if isinstance(value, float) else 2), value


def _runs(
    spread: Spread, everything: I64, order: Order, after: Place | None
) -> Iterator[tuple[Scalar | None, I64]]:
    """Yield values from that of `after` on, with the items that stand there."""
    ordinals, codes = _first_codes(spread, order.descending)
    if after is None or after.value is not None:
        in_order = np.argsort(-codes if order.descending else codes, kind="stable")
        ordinals, codes = ordinals[in_order], codes[in_order]
        start = _start(spread.values, codes, order.descending, after)
        ends = np.flatnonzero(np.diff(codes[start:])) + 1 + start
        for first, last in zip([start, *ends], [*ends, len(codes)], strict=True):
            if first < last:
                yield spread.values[codes[first]], ordinals[first:last]
    yield None, np.setdiff1d(everything, spread.ordinals, assume_unique=False)


def _first_codes(spread: Spread, descending: bool) -> tuple[I64, I64]:
    """Return each item once, int64 [n], with its least or greatest code."""
    by_code = np.argsort(-spread.codes if descending else spread.codes, kind="stable")
    ordinals, first = np.unique(spread.ordinals[by_code], return_index=True)
    return ordinals, spread.codes[by_code][first]


def _start(values: Sequence[Scalar], codes: I64, descending: bool, after: Place | None) -> int:
    """Return the first position whose value is not before that of `after`."""
    if after is None or after.value is None:
        return 0
    wanted = bisect_left(values, sort_key(after.value), key=sort_key)
    if not descending:
        return int(np.searchsorted(codes, wanted, "left"))
    there = wanted < len(values) and _same(values[wanted], after.value)
    return int(np.searchsorted(-codes, -(wanted if there else wanted - 1), "left"))


def _same(one: Scalar | None, other: Scalar | None) -> bool:
    return type(one) is type(other) and one == other
