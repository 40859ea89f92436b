"""`lookalike.v1.Ranking` to `search_service.domain.ranking`, and why a hit has its place."""

from __future__ import annotations

import math

from lookalike.v1 import filter_pb2, search_pb2
from lookalike.wire.errors import InvalidField, LimitExceeded
from search_service import limits
from search_service.domain.conditions import Instant
from search_service.domain.queries import QueryRequest
from search_service.domain.ranking import (
    Boost,
    BoostPart,
    Curve,
    Decay,
    DecayShape,
    HitRanking,
    Linear,
    Logarithmic,
    Ranking,
)
from search_service.servicers.filter_translation import instant_from_proto
from search_service.servicers.translate import read_path, timestamp_of

_SHAPES = {shape.value: shape for shape in DecayShape}
_MICROSECONDS = 1e6


def check_ranking(request: search_pb2.SearchRequest) -> None:
    """Check the limits of what orders the hits.

    Raises:
        InvalidField, LimitExceeded: with the path of the field.
    """
    if not request.HasField("ranking"):
        return
    ranking = request.ranking
    if request.HasField("group_by"):
        raise InvalidField("ranking", "group_by orders groups by cosine alone: leave one of them")
    limits.check_count("ranking.boosts", len(ranking.boosts), limits.MAX_BOOSTS, least=0)
    if not 0.0 <= ranking.diversity <= 1.0:
        raise InvalidField("ranking.diversity", "must be 0 to 1")
    limit = request.limit or limits.DEFAULT_LIMIT
    if ranking.candidates:
        limits.check_range("ranking.candidates", ranking.candidates, limit, limits.MAX_CANDIDATES)


def check_work(query: QueryRequest) -> None:
    """Check what a request makes the service compare.

    Raises:
        InvalidField: examples by best score with groups.
        LimitExceeded: too much.
    """
    if not query.reranked:
        return
    if query.group_by is not None:
        raise InvalidField("group_by", "takes no examples by best score: use their mean")
    queries = len(query.vectors)
    searched = queries + sum(len(best.positives) - 1 for best in query.best_scores if best)
    if searched * query.candidates > limits.MAX_HITS:
        raise LimitExceeded(
            "ranking.candidates",
            f"times the vectors that are searched is {searched * query.candidates:,}, more than "
            f"{limits.MAX_HITS:,}: ask for fewer, or send the queries in several requests",
        )
    compared = queries * query.limit * query.candidates
    diverse = query.ranking is not None and query.ranking.diversity > 0.0
    if diverse and compared > limits.MAX_DIVERSE_COMPARISONS:
        raise LimitExceeded(
            "ranking.diversity",
            f"queries times limit times candidates is {compared:,}, more than "
            f"{limits.MAX_DIVERSE_COMPARISONS:,}: ask for fewer hits or candidates",
        )


def read_ranking(message: search_pb2.Ranking) -> Ranking | None:
    """Return what orders the hits; None where that is the cosine.

    Raises:
        InvalidField: a boost is wrong, with the path of the field.
    """
    boosts = tuple(
        _read_boost(boost, f"ranking.boosts[{index}]") for index, boost in enumerate(message.boosts)
    )
    ranking = Ranking(boosts, message.diversity, message.candidates)
    return ranking if boosts or ranking.diversity or ranking.candidates else None


def fill_ranking(ranking: HitRanking, hit: search_pb2.Hit, *, explain: bool) -> None:
    """Say in `hit` why it has its place."""
    hit.rank_score = ranking.rank_score
    if not explain:
        return
    message = hit.ranking
    message.SetInParent()
    for part in ranking.boosts:
        _fill_part(part, message.boosts.add())
    if ranking.redundancy is not None:
        message.redundancy = ranking.redundancy
    if ranking.negative is not None:
        message.negative = ranking.negative


def _fill_part(part: BoostPart, message: search_pb2.BoostPart) -> None:
    if isinstance(part.value, Instant):
        message.value.timestamp_value.CopyFrom(timestamp_of(part.value.epoch_us))
    elif isinstance(part.value, float):
        message.value.number_value = part.value
    message.curve, message.added = part.curve, part.added


def _read_boost(message: search_pb2.Boost, field: str) -> Boost:
    path = read_path(message.field, f"{field}.field")
    weight, most = message.weight, limits.MAX_WEIGHT
    if not math.isfinite(weight) or abs(weight) > most:
        raise InvalidField(f"{field}.weight", f"must be {-most:g} to {most:g}")
    if not 0.0 <= message.missing <= 1.0:
        raise InvalidField(f"{field}.missing", "must be 0 to 1")
    curve, of_times = _read_curve(message, field)
    return Boost(path, weight, curve, of_times, message.missing)


def _read_curve(message: search_pb2.Boost, field: str) -> tuple[Curve, bool]:
    kind = message.WhichOneof("curve")
    if kind == "linear":
        return _read_linear(message.linear, f"{field}.linear")
    if kind == "logarithmic":
        return _read_logarithmic(message.logarithmic, f"{field}.logarithmic"), False
    if kind == "decay":
        return _read_decay(message.decay, f"{field}.decay")
    raise InvalidField(field, "set a curve: linear, logarithmic or decay")


def _read_linear(message: search_pb2.LinearCurve, field: str) -> tuple[Curve, bool]:
    # `from` is a word of Python: the field has no other way to be named.
    start, of_times = _read_point(getattr(message, "from"), f"{field}.from")
    end, also = _read_point(message.to, f"{field}.to")
    if of_times != also:
        raise InvalidField(f"{field}.to", "both ends must be numbers, or both timestamps")
    if start == end or not math.isfinite(end - start):
        raise InvalidField(f"{field}.to", "must differ from the other end, by a finite number")
    return Linear(start, end), of_times


def _read_logarithmic(message: search_pb2.LogarithmicCurve, field: str) -> Curve:
    start, end = getattr(message, "from"), message.to
    if not (math.isfinite(start) and math.isfinite(end - start) and start < end):
        raise InvalidField(f"{field}.to", "must be greater than where the curve begins")
    return Logarithmic(start, end)


def _read_decay(message: search_pb2.DecayCurve, field: str) -> tuple[Curve, bool]:
    if message.shape not in _SHAPES:
        raise InvalidField(f"{field}.shape", "say which form: set a DecayShape")
    origin, of_times = _read_point(message.origin, f"{field}.origin")
    if not (math.isfinite(message.scale) and message.scale > 0.0):
        raise InvalidField(f"{field}.scale", "must be greater than 0")
    if not (math.isfinite(message.offset) and message.offset >= 0.0):
        raise InvalidField(f"{field}.offset", "must be 0 or more")
    at_scale = message.at_scale or 0.5
    if not 0.0 < at_scale < 1.0:
        raise InvalidField(f"{field}.at_scale", "must lie between 0 and 1")
    unit = _MICROSECONDS if of_times else 1.0
    shape = _SHAPES[message.shape]
    return Decay(shape, origin, message.scale * unit, message.offset * unit, at_scale), of_times


def _read_point(message: filter_pb2.FilterValue, field: str) -> tuple[float, bool]:
    """A number, or microseconds since 1970; and whether it is these."""
    kind = message.WhichOneof("kind")
    if kind == "timestamp_value":
        instant = instant_from_proto(message.timestamp_value, f"{field}.timestamp_value")
        return float(instant.epoch_us), True
    if kind != "number_value" or not math.isfinite(message.number_value):
        raise InvalidField(field, "set a finite number or a timestamp")
    return message.number_value, False
