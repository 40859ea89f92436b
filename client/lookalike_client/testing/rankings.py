"""Hits of the fake service that more than likeness orders, by the formulas of the contract."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from lookalike.v1 import filter_pb2, search_pb2
from lookalike.wire.errors import InvalidField, LimitExceeded
from lookalike.wire.times import parse_time
from lookalike.wire.vectors import F32
from lookalike_client.testing import reading
from lookalike_client.testing.state import StoredItem, cosine

_DEFAULT_LIMIT = 10
_MOST_BOOSTS = 8
_MOST_CANDIDATES = 10_000
_MOST_WEIGHT = 10.0
_SHAPES = frozenset(search_pb2.DecayShape.values()) - {search_pb2.DECAY_SHAPE_UNSPECIFIED}


@dataclass(frozen=True, slots=True)
class RankedItem:
    """An item with its cosine, its rank score and the parts of that."""

    item: StoredItem
    score: float
    rank_score: float
    parts: search_pb2.HitRanking
    # The number of the item's vector that has the score, and that stands for it.
    place: int = 0

    @property
    def vector(self) -> F32:
        """That vector."""
        return (self.item.vector, *self.item.further)[self.place]


def asked(request: search_pb2.SearchRequest) -> bool:
    """Return whether the request orders hits by more than likeness."""
    ranking = request.ranking
    return bool(ranking.boosts or ranking.diversity or ranking.candidates)


def check(request: search_pb2.SearchRequest) -> None:
    """Check what orders the hits.

    Raises:
        InvalidField, LimitExceeded: a part of it is wrong.
    """
    ranking = request.ranking
    if request.HasField("ranking") and request.HasField("group_by"):
        raise InvalidField("ranking", "group_by orders groups by cosine alone: leave one of them")
    if len(ranking.boosts) > _MOST_BOOSTS:
        raise LimitExceeded("ranking.boosts", f"at most {_MOST_BOOSTS} are taken at once")
    if not 0.0 <= ranking.diversity <= 1.0:
        raise InvalidField("ranking.diversity", "must be 0 to 1")
    limit = request.limit or _DEFAULT_LIMIT
    if ranking.candidates > _MOST_CANDIDATES:
        raise LimitExceeded("ranking.candidates", f"must be at most {_MOST_CANDIDATES:,}")
    if ranking.candidates and ranking.candidates < limit:
        raise InvalidField("ranking.candidates", f"must be at least {limit:,}")
    for index, boost in enumerate(ranking.boosts):
        _curve(boost, f"ranking.boosts[{index}]")


def ranked(
    within: Sequence[StoredItem],
    positives: Sequence[F32],
    negatives: Sequence[F32],
    left_out: set[str],
    request: search_pb2.SearchRequest,
) -> list[RankedItem]:
    """Return the hits of a query, best first."""
    limit = request.limit or _DEFAULT_LIMIT
    count = max(limit, request.ranking.candidates or max(4 * limit, 100)) + len(left_out)
    candidates: dict[str, StoredItem] = {}
    for vector in positives:
        near = sorted(within, key=lambda item: (-item.nearest(vector)[0], item.id))
        candidates |= {item.id: item for item in near[:count]}
    found = [
        _scored(item, positives, negatives, request.ranking)
        for item in candidates.values()
        if item.id not in left_out
    ]
    if request.HasField("min_score"):
        found = [each for each in found if each.score >= request.min_score]
    found.sort(key=lambda each: (-each.rank_score, each.item.id))
    weight = request.ranking.diversity
    return _diverse(found, limit, weight) if weight else found[:limit]


def _scored(
    item: StoredItem,
    positives: Sequence[F32],
    negatives: Sequence[F32],
    ranking: search_pb2.Ranking,
) -> RankedItem:
    parts = search_pb2.HitRanking()
    score, place = max(
        (item.nearest(each) for each in positives), key=lambda each: (each[0], -each[1])
    )
    rank_score = score
    if negatives:
        parts.negative = max(item.nearest(each)[0] for each in negatives)
        if score <= parts.negative:
            rank_score = score - parts.negative - 1.0
    for index, boost in enumerate(ranking.boosts):
        part = _part(item, boost, f"ranking.boosts[{index}]")
        parts.boosts.append(part)
        rank_score += boost.weight * (part.curve if part.HasField("value") else boost.missing)
    return RankedItem(item, score, float(np.float32(rank_score)), parts, place)


def _diverse(left: list[RankedItem], limit: int, weight: float) -> list[RankedItem]:
    """Choose one by one what is near and differs from what is chosen."""
    chosen: list[RankedItem] = []
    while left and len(chosen) < limit:
        for each in left if chosen else ():
            to_it = cosine(each.vector, chosen[-1].vector)
            before = each.parts.redundancy if each.parts.HasField("redundancy") else -math.inf
            each.parts.redundancy = max(before, to_it)

        def gain(each: RankedItem) -> float:
            return (1.0 - weight) * each.rank_score - weight * each.parts.redundancy

        best = max(left, key=gain)
        chosen.append(best)
        left.remove(best)
    return chosen


def _part(item: StoredItem, boost: search_pb2.Boost, where: str) -> search_pb2.BoostPart:
    curve, of_times = _curve(boost, where)
    values: list[float] = []
    for _, held in reading.values_at(item, boost.field, f"{where}.field"):
        if of_times and isinstance(held, str):
            epoch_us = parse_time(held)
            if epoch_us is not None:
                values.append(epoch_us / 1e6)
        elif not of_times and isinstance(held, int | float) and not isinstance(held, bool):
            values.append(float(held))
    part = search_pb2.BoostPart(curve=boost.missing, added=boost.weight * boost.missing)
    if values:
        best = max(values, key=lambda value: (curve(value), -value))
        part.curve, part.added = curve(best), boost.weight * curve(best)
        if of_times:
            part.value.timestamp_value.FromDatetime(datetime.fromtimestamp(best, UTC))
        else:
            part.value.number_value = best
    return part


def _curve(boost: search_pb2.Boost, where: str) -> tuple[Callable[[float], float], bool]:
    """Return a boost's curve, and whether it is one of times, in seconds since 1970."""
    if not abs(boost.weight) <= _MOST_WEIGHT:
        raise InvalidField(f"{where}.weight", f"must be -{_MOST_WEIGHT:g} to {_MOST_WEIGHT:g}")
    if not 0.0 <= boost.missing <= 1.0:
        raise InvalidField(f"{where}.missing", "must be 0 to 1")
    reading.path_of(boost.field, f"{where}.field")
    match boost.WhichOneof("curve"):
        case "linear":
            # `from` is a word of Python: the field has no other way to be named.
            start, of_times = _point(getattr(boost.linear, "from"), f"{where}.linear.from")
            end, also = _point(boost.linear.to, f"{where}.linear.to")
            if of_times != also or start == end:
                raise InvalidField(f"{where}.linear.to", "must be of the same kind, and differ")
            return lambda value: _cut((value - start) / (end - start)), of_times
        case "logarithmic":
            low, high = getattr(boost.logarithmic, "from"), boost.logarithmic.to
            if not low < high:
                raise InvalidField(
                    f"{where}.logarithmic.to", "must be greater than where the curve begins"
                )
            span = math.log1p(high - low)
            return lambda value: _cut(math.log1p(max(0.0, value - low)) / span), False
        case "decay":
            return _decay(boost.decay, f"{where}.decay")
        case _:
            raise InvalidField(where, "set a curve: linear, logarithmic or decay")


def _decay(decay: search_pb2.DecayCurve, where: str) -> tuple[Callable[[float], float], bool]:
    if decay.shape not in _SHAPES:
        raise InvalidField(f"{where}.shape", "say which form: set a DecayShape")
    origin, of_times = _point(decay.origin, f"{where}.origin")
    if not decay.scale > 0.0:
        raise InvalidField(f"{where}.scale", "must be greater than 0")
    if not decay.offset >= 0.0:
        raise InvalidField(f"{where}.offset", "must be 0 or more")
    at_scale = decay.at_scale or 0.5
    if not 0.0 < at_scale < 1.0:
        raise InvalidField(f"{where}.at_scale", "must lie between 0 and 1")
    scale, offset, shape = decay.scale, decay.offset, decay.shape

    def curve(value: float) -> float:
        far = max(0.0, abs(value - origin) - offset) / scale
        if shape == search_pb2.DECAY_SHAPE_LINEAR:
            return max(0.0, 1.0 - (1.0 - at_scale) * far)
        return math.exp(
            math.log(at_scale) * (far**2 if shape == search_pb2.DECAY_SHAPE_GAUSS else far)
        )

    return curve, of_times


def _point(value: filter_pb2.FilterValue, where: str) -> tuple[float, bool]:
    match value.WhichOneof("kind"):
        case "number_value":
            return value.number_value, False
        case "timestamp_value":
            return value.timestamp_value.ToDatetime(tzinfo=UTC).timestamp(), True
        case _:
            raise InvalidField(where, "set a finite number or a timestamp")


def _cut(value: float) -> float:
    return min(1.0, max(0.0, value))
