"""What orders hits, out of messages: what is refused, and where."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from lookalike.v1 import filter_pb2, search_pb2
from lookalike.wire.errors import InvalidField, LookalikeError
from search_service.domain.queries import QueryRequest
from search_service.domain.ranking import BestScore, Decay, DecayShape, Linear, Ranking
from search_service.servicers.rankings import check_ranking, check_work, read_ranking

ONE = filter_pb2.FilterValue(number_value=1)
TWO = filter_pb2.FilterValue(number_value=2)
MOMENT = filter_pb2.FilterValue(timestamp_value=Timestamp(seconds=3))


def linear(start: filter_pb2.FilterValue, end: filter_pb2.FilterValue) -> search_pb2.LinearCurve:
    curve = search_pb2.LinearCurve(to=end)
    getattr(curve, "from").CopyFrom(start)
    return curve


def boost(**given: Any) -> search_pb2.Ranking:
    parts = {"field": "a", "weight": 1.0, "linear": linear(ONE, TWO), **given}
    made = search_pb2.Boost(**{key: value for key, value in parts.items() if value is not None})
    return search_pb2.Ranking(boosts=[made])


def decay(**parts: Any) -> search_pb2.Ranking:
    given: dict[str, Any] = {
        "shape": search_pb2.DECAY_SHAPE_GAUSS,
        "origin": ONE,
        "scale": 2.0,
        **parts,
    }
    return boost(linear=None, decay=search_pb2.DecayCurve(**given))


MISTAKES = [
    (boost(field=""), "ranking.boosts[0].field"),
    (boost(field="a..b"), "ranking.boosts[0].field"),
    (boost(weight=10.5), "ranking.boosts[0].weight"),
    (boost(weight=float("nan")), "ranking.boosts[0].weight"),
    (boost(missing=-0.1), "ranking.boosts[0].missing"),
    (boost(missing=float("nan")), "ranking.boosts[0].missing"),
    (boost(linear=None), "ranking.boosts[0]"),
    (boost(linear=linear(ONE, ONE)), "ranking.boosts[0].linear.to"),
    (boost(linear=linear(ONE, MOMENT)), "ranking.boosts[0].linear.to"),
    (boost(linear=linear(filter_pb2.FilterValue(), ONE)), "ranking.boosts[0].linear.from"),
    (
        boost(linear=linear(ONE, filter_pb2.FilterValue(number_value=float("inf")))),
        "ranking.boosts[0].linear.to",
    ),
    (
        boost(linear=linear(ONE, filter_pb2.FilterValue(string_value="x"))),
        "ranking.boosts[0].linear.to",
    ),
    (
        boost(linear=None, logarithmic=search_pb2.LogarithmicCurve(to=0.0)),
        "ranking.boosts[0].logarithmic.to",
    ),
    (decay(shape=0), "ranking.boosts[0].decay.shape"),
    (decay(shape=9), "ranking.boosts[0].decay.shape"),
    (decay(origin=filter_pb2.FilterValue(bool_value=True)), "ranking.boosts[0].decay.origin"),
    (decay(scale=0.0), "ranking.boosts[0].decay.scale"),
    (decay(scale=float("nan")), "ranking.boosts[0].decay.scale"),
    (decay(offset=-1.0), "ranking.boosts[0].decay.offset"),
    (decay(at_scale=1.0), "ranking.boosts[0].decay.at_scale"),
]


@pytest.mark.parametrize(("ranking", "field"), MISTAKES)
def test_a_mistake_is_named_by_its_field(ranking: search_pb2.Ranking, field: str) -> None:
    with pytest.raises(InvalidField) as caught:
        read_ranking(ranking)
    assert caught.value.field == field


def test_times_are_counted_in_microseconds() -> None:
    ranking = read_ranking(decay(origin=MOMENT, scale=60.0, offset=1.5))
    assert ranking is not None
    assert ranking.boosts[0].of_times
    assert ranking.boosts[0].curve == Decay(DecayShape.GAUSS, 3e6, 60e6, 1.5e6, 0.5)
    plain = read_ranking(boost())
    assert plain is not None
    assert plain.boosts[0].curve == Linear(1.0, 2.0)
    assert read_ranking(search_pb2.Ranking()) is None


@pytest.mark.parametrize(
    ("ranking", "grouped", "field"),
    [
        (search_pb2.Ranking(diversity=1.1), False, "ranking.diversity"),
        (search_pb2.Ranking(diversity=float("nan")), False, "ranking.diversity"),
        (search_pb2.Ranking(candidates=9), False, "ranking.candidates"),
        (search_pb2.Ranking(candidates=10_001), False, "ranking.candidates"),
        (search_pb2.Ranking(boosts=[search_pb2.Boost()] * 9), False, "ranking.boosts"),
        (search_pb2.Ranking(diversity=0.5), True, "ranking"),
    ],
)
def test_what_goes_past_a_limit_is_refused(
    ranking: search_pb2.Ranking, grouped: bool, field: str
) -> None:
    request = search_pb2.SearchRequest(ranking=ranking)
    if grouped:
        request.group_by.field = "a"
    with pytest.raises(LookalikeError) as caught:
        check_ranking(request)
    assert caught.value.field == field


def test_the_work_of_a_request_is_bounded() -> None:
    vectors = np.eye(8, dtype=np.float32)
    for _ in range(5):
        vectors = np.concatenate([vectors, vectors])  # 256
    check_work(QueryRequest(vectors, limit=10, ranking=Ranking(diversity=0.5)))
    check_work(QueryRequest(vectors[:1], limit=250, ranking=Ranking(diversity=0.5)))
    check_work(QueryRequest(vectors, limit=10_000))
    best = BestScore(vectors[:64], vectors[:0])
    for query, field in (
        (QueryRequest(vectors[:1], limit=600, ranking=Ranking(diversity=0.5)), "diversity"),
        (QueryRequest(vectors, limit=100, ranking=Ranking(candidates=400)), "candidates"),
        (QueryRequest(vectors[:1], limit=1_000, best_scores=(best,)), "candidates"),
    ):
        with pytest.raises(LookalikeError) as caught:
            check_work(query)
        assert caught.value.field == f"ranking.{field}"
