"""Boosts, as text and made by hand."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike_client import Boost, InvalidField

DAY = datetime(2024, 1, 1, tzinfo=UTC)
MEANINGS = [
    ("0.2 * linear(likes, 0, 100)", Boost.linear("likes", 0, 100, weight=0.2)),
    (
        "-1*LINEAR(`a.b`.c,@2024-01-01,@2024-01-02T00:00:00Z,missing=.5)",
        Boost.linear("`a.b`.c", DAY, DAY + timedelta(days=1), weight=-1, missing=0.5),
    ),
    ("1e-1 * log(views, -1, 1000)", Boost.log("views", -1, 1000, weight=0.1)),
    ("1 * gauss(price, 50, 20)", Boost.near("price", 50, 20, weight=1)),
    (
        "1 * exp(taken, @2024-01-01 00:00:00, 1.5d, at=0.1, offset=90s)",
        Boost.near("taken", DAY, 129_600, weight=1, shape="exp", offset=90, at_scale=0.1),
    ),
    (
        "1 * decay(taken, @2024-01-01T02:00:00+02:00, 2w)",
        Boost.near("taken", DAY, 1_209_600, weight=1, shape="decay"),
    ),
]


@pytest.mark.parametrize(("text", "meaning"), MEANINGS)
def test_a_text_means(text: str, meaning: Boost) -> None:
    assert Boost.parse(text) == meaning


def test_now_is_the_time_of_reading() -> None:
    before = datetime.now(UTC)
    made = Boost.parse("1 * gauss(taken, @now, 12h)").message.decay
    assert before <= made.origin.timestamp_value.ToDatetime(tzinfo=UTC) <= datetime.now(UTC)
    assert made.scale == 43_200


MISTAKES = [
    ("", 1, "a weight"),
    ("linear(a, 0, 1)", 1, "a weight"),
    ("1 linear(a, 0, 1)", 3, "expected *"),
    ("1 * square(a, 0, 1)", 5, "a curve: linear, log, gauss, exp, decay"),
    ("1 * linear(a)", 13, "expected ,"),
    ("1 * linear(a, 0, )", 18, "a number"),
    ("1 * linear(a, 0, 1", 19, "found the end"),
    ("1 * linear(a, 0, 1) 2", 21, "expected the end"),
    ("1 * linear(a, 0, 1, offset=2)", 21, "one of missing"),
    ("1 * exp(a, 0, 1, at=0.1, at=0.2)", 26, "one of missing, offset"),
    ("1 * gauss(a, 0, 3d)", 17, "a number"),
    ("1 * gauss(a, @2024-01-01, 3)", 27, "a duration"),
    ("1 * gauss(a, @yesterday, 3d)", 14, "a time"),
    ("1 * linear('a', 0, 1)", 12, "a field"),
    ("1 * exp(a, 0, 1, at=0)", 21, "between 0 and 1"),
    ("1 * linear(a, 0, 1); x", 20, "the end"),
]


@pytest.mark.parametrize(("text", "column", "says"), MISTAKES)
def test_a_mistake_is_told_with_its_column(text: str, column: int, says: str) -> None:
    with pytest.raises(InvalidField, match=re.escape(says)) as caught:
        Boost.parse(text)
    assert caught.value.message.startswith(f"column {column}: ")


def test_a_shape_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidField, match="gauss, exp or decay"):
        Boost.near("a", 0, 1, weight=1, shape="round")
    with pytest.raises(InvalidField, match="between 0 and 1"):
        Boost.near("a", 0, 1, weight=1, at_scale=1.5)
    with pytest.raises(InvalidField, match="a number or a datetime"):
        Boost.linear("a", "0", 1, weight=1)  # type: ignore[arg-type] # what callers do


_PIECES = ("1", "-0.5", "*", "linear", "log", "gauss", "exp", "(", ")", ",", "a.b", "`x y`", "30d")
_MORE = ("@2024-01-01", "@now", "missing", "offset", "at", "=", "0", "@", "é", "'", "\x00")


@given(st.lists(st.sampled_from(_PIECES + _MORE), max_size=14).map(" ".join) | st.text(max_size=30))
def test_any_text_is_a_boost_or_refused(text: str) -> None:
    message = _mistake_in(text)
    assert message is None or re.match(r"column \d+: ", message)
    assert (message or "").isprintable()


def _mistake_in(text: str) -> str | None:
    try:
        Boost.parse(text)
    except InvalidField as error:
        return error.message
    return None
