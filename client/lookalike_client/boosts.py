"""What makes an item rank higher than its likeness: a number or a time of its metadata."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NoReturn, Self, TypeAlias

from lookalike.v1 import filter_pb2, search_pb2
from lookalike.wire.errors import InvalidField
from lookalike.wire.times import parse_time

Point: TypeAlias = float | datetime

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<duration>\d+(?:\.\d+)?[smhdw](?!\w))
      | (?P<number>[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?(?![\w.]))
      | (?P<time>@[\w:.+-]*(?:[ ]\d\d:[\w:.+-]*)?(?:[ ](?:UTC|[+-]\d\d:?\d\d)(?!\w))?)
      | (?P<name>(?:[^\W\d][\w-]*|`(?:[^`]|``)+`)(?:\.(?:[^\W\d][\w-]*|`(?:[^`]|``)+`))*)
      | (?P<sign>[*(),=])
      | (?P<end>$)
    )""",
    re.VERBOSE,
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0, "w": 604_800.0}
_SHAPES = {
    "gauss": search_pb2.DECAY_SHAPE_GAUSS,
    "exp": search_pb2.DECAY_SHAPE_EXPONENTIAL,
    "decay": search_pb2.DECAY_SHAPE_LINEAR,
}
_CURVES = ("linear", "log", *_SHAPES)


@dataclass(frozen=True, slots=True)
class Boost:
    """`weight` times a curve of a metadata field, added to the score of an item.

    A curve goes from 0 to 1. Items without a number there (a time, where the curve is
    of times) count with `missing`.
    """

    message: search_pb2.Boost

    @classmethod
    def linear(
        cls, field: str, start: Point, end: Point, *, weight: float, missing: float = 0.0
    ) -> Self:
        """0 at `start`, 1 at `end`, straight between them."""
        boost = _boost(field, weight, missing)
        # `from` is a word of Python: the field has no other way to be named.
        getattr(boost.linear, "from").CopyFrom(_point(start))
        boost.linear.to.CopyFrom(_point(end))
        return cls(boost)

    @classmethod
    def log(
        cls, field: str, start: float, end: float, *, weight: float, missing: float = 0.0
    ) -> Self:
        """0 at `start`, 1 at `end`, by the logarithm of 1 + value - start."""
        boost = _boost(field, weight, missing)
        setattr(boost.logarithmic, "from", start)
        boost.logarithmic.to = end
        return cls(boost)

    @classmethod
    def near(
        cls,
        field: str,
        origin: Point,
        scale: float,
        *,
        weight: float,
        shape: str = "gauss",
        offset: float = 0.0,
        at_scale: float = 0.5,
        missing: float = 0.0,
    ) -> Self:
        """1 at `origin`, less with the distance: `at_scale` at `scale` (seconds of times).

        `shape` is gauss, exp or decay, which is straight; up to `offset` it stays 1.

        Raises:
            InvalidField: there is no such shape, or `at_scale` is not between 0 and 1.
        """
        if shape not in _SHAPES:
            raise InvalidField("boosts", f"there is no shape {shape!r}: gauss, exp or decay")
        if not 0.0 < at_scale < 1.0:
            raise InvalidField("boosts", f"at must lie between 0 and 1, got {at_scale:g}")
        boost = _boost(field, weight, missing)
        boost.decay.shape = _SHAPES[shape]
        boost.decay.origin.CopyFrom(_point(origin))
        boost.decay.scale, boost.decay.offset, boost.decay.at_scale = scale, offset, at_scale
        return cls(boost)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a boost such as `0.2 * log(likes, 0, 1000)`.

        Others: `0.3 * linear(year, 1990, 2020)`, `0.5 * gauss(taken, @now, 30d)`,
        `-0.1 * exp(price, 50, 20, offset=5, at=0.3, missing=0.5)`.

        Raises:
            InvalidField: it is none; the message names the column.
        """
        return cls(_Parser(text).boost())


def _boost(field: str, weight: float, missing: float) -> search_pb2.Boost:
    return search_pb2.Boost(field=field, weight=weight, missing=missing)


def _point(value: Point) -> filter_pb2.FilterValue:
    """A number, or a time; one without an offset is local, as Python has it.

    Raises:
        InvalidField: it is neither.
    """
    if not isinstance(value, datetime | int | float):
        raise InvalidField("boosts", f"a point is a number or a datetime, got {value!r}")
    if not isinstance(value, datetime):
        return filter_pb2.FilterValue(number_value=value)
    point = filter_pb2.FilterValue()
    point.timestamp_value.FromDatetime(value.astimezone(UTC))
    return point


class _Parser:
    """Reads one boost from left to right, a token ahead."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._position = 0
        self._next()

    def boost(self) -> search_pb2.Boost:
        weight = self._number("a weight, as in 0.2 * linear(year, 1990, 2020)")
        self._sign("*")
        curve = self._token.lower()
        if curve not in _CURVES:
            self._wrong("a curve: " + ", ".join(_CURVES))
        self._next()
        self._sign("(")
        field = self._name("a field")
        self._sign(",")
        if curve == "linear":
            start, end = self._two_points()
            made = Boost.linear(field, start, end, weight=weight).message
            options = {"missing"}
        elif curve == "log":
            low = self._number("a number")
            self._sign(",")
            made = Boost.log(field, low, self._number("a number"), weight=weight).message
            options = {"missing"}
        else:
            origin = self._point()
            self._sign(",")
            made = Boost.near(
                field, origin, self._length(origin), weight=weight, shape=curve
            ).message
            options = {"missing", "offset", "at"}
            self._options(made, options, origin)
            return made
        self._options(made, options, 0.0)
        return made

    def _options(self, boost: search_pb2.Boost, names: set[str], origin: Point) -> None:
        """Read `, name=value` up to the end."""
        while self._took(","):
            expected = "one of " + ", ".join(sorted(names))
            name = self._token if self._kind == "name" else ""
            if name not in names:
                self._wrong(expected)
            self._next()
            self._sign("=")
            if name == "missing":
                boost.missing = self._number("a number")
            elif name == "offset":
                boost.decay.offset = self._length(origin)
            else:
                boost.decay.at_scale = self._share()
            names = names - {name}
        self._sign(")")
        if self._kind != "end":
            self._wrong("the end")

    def _two_points(self) -> tuple[Point, Point]:
        start = self._point()
        self._sign(",")
        return start, self._point()

    def _point(self) -> Point:
        if self._kind != "time":
            return self._number("a number, or a time such as @2024-01-01 or @now")
        text = self._token[1:]
        if text.lower() == "now":
            moment = datetime.now(UTC)
        else:
            epoch_us = parse_time(text)
            if epoch_us is None:
                self._wrong("a time such as @2024-01-01T00:00:00Z, @2024-01-01 or @now")
            moment = _EPOCH + timedelta(microseconds=epoch_us)
        self._next()
        return moment

    def _length(self, origin: Point) -> float:
        """A distance: a number, or of times a duration, in seconds."""
        if not isinstance(origin, datetime):
            return self._number("a number")
        if self._kind != "duration":
            self._wrong("a duration such as 30d, 12h, 15m or 90s")
        seconds = float(self._token[:-1]) * _SECONDS[self._token[-1]]
        self._next()
        return seconds

    def _number(self, expected: str) -> float:
        if self._kind != "number":
            self._wrong(expected)
        number = float(self._token)
        self._next()
        return number

    def _share(self) -> float:
        expected = "a number between 0 and 1"
        if self._kind == "number" and not 0.0 < float(self._token) < 1.0:
            self._wrong(expected)
        return self._number(expected)

    def _name(self, expected: str) -> str:
        if self._kind != "name":
            self._wrong(expected)
        name = self._token
        self._next()
        return name

    def _sign(self, sign: str) -> None:
        if not self._took(sign):
            self._wrong(sign)

    def _took(self, sign: str) -> bool:
        found = self._kind == "sign" and self._token == sign
        if found:
            self._next()
        return found

    def _next(self) -> None:
        match = _TOKEN.match(self._text, self._position)
        if match is None:
            self._column = self._position + 1
            self._kind, self._token = "other", self._text[self._position : self._position + 12]
            return
        self._position = match.end()
        self._kind = match.lastgroup or "end"
        self._token = match[self._kind]
        self._column = match.start(self._kind) + 1

    def _wrong(self, expected: str) -> NoReturn:
        found = ascii(self._token) if self._kind != "end" else "the end"
        raise InvalidField("boosts", f"column {self._column}: expected {expected}, found {found}")
