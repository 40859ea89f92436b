"""`lookalike.v1.Filter` to `search_service.domain.conditions`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, TypeAlias

from google.protobuf.timestamp_pb2 import Timestamp

from lookalike.v1 import filter_pb2
from lookalike.wire.errors import FilterInvalid
from search_service.domain.conditions import (
    AllOf,
    AnyElement,
    AnyOf,
    Equals,
    Exists,
    FieldPath,
    Filter,
    In,
    Instant,
    NoneOf,
    Prefix,
    Range,
    Scalar,
    Text,
    TextMatch,
)
from search_service.filters.limits import FilterSize, count_values, measure
from search_service.filters.paths import parse_path
from search_service.filters.patterns import fault_of
from search_service.filters.text import parse_filter

# google.protobuf.Timestamp covers the years 1 to 9999.
_LEAST_SECOND = -62_135_596_800
_GREATEST_SECOND = 253_402_300_799
_BoundName: TypeAlias = Literal["greater_than", "at_least", "less_than", "at_most"]
_BOUNDS: tuple[_BoundName, ...] = ("greater_than", "at_least", "less_than", "at_most")


def filter_from_proto(message: filter_pb2.Filter, field: str = "filter") -> Filter | None:
    """Translate a filter and check its limits; an empty message is no filter.

    Args:
        message: the filter of a request; unset and empty are the same.
        field: where it stands in the request, for errors.

    Raises:
        FilterInvalid: naming the field, such as
            `filter.all_of.filters[3].equals.field`.
    """
    if message.WhichOneof("condition") is None:
        return None
    return _Translation().condition(message, field, level=1)


def instant_from_proto(message: Timestamp, field: str) -> Instant:
    """Translate a point in time; digits below a microsecond are cut off.

    Raises:
        FilterInvalid: it is none.
    """
    if not _LEAST_SECOND <= message.seconds <= _GREATEST_SECOND:
        raise FilterInvalid(f"{field}.seconds", "the timestamp is outside the years 1 to 9999")
    if not 0 <= message.nanos < 1_000_000_000:
        raise FilterInvalid(f"{field}.nanos", "nanos lie between 0 and 999,999,999")
    return Instant(message.seconds * 1_000_000 + message.nanos // 1_000)


class _Translation:
    """One filter, with what it holds so far."""

    def __init__(self) -> None:
        self._nodes = 0
        self._values = 0

    def condition(self, message: filter_pb2.Filter, field: str, level: int) -> Filter:
        kind = message.WhichOneof("condition")
        if kind is None:
            raise FilterInvalid(field, "the condition is empty: set one of its fields")
        translate = _TRANSLATIONS[kind]
        self._spend(FilterSize(level, 1, 0), field)
        return translate(self, message, f"{field}.{kind}", level)

    def all_of(self, message: filter_pb2.Filter, field: str, level: int) -> Filter:
        return AllOf(self._children(message.all_of, field, level))

    def any_of(self, message: filter_pb2.Filter, field: str, level: int) -> Filter:
        return AnyOf(self._children(message.any_of, field, level))

    def none_of(self, message: filter_pb2.Filter, field: str, level: int) -> Filter:
        return NoneOf(self.condition(message.none_of, field, level + 1))

    def equals(self, message: filter_pb2.Filter, field: str, level: int) -> Filter:
        node = message.equals
        leaf = Equals(_path(node.field, field), _scalar(node.value, f"{field}.value"))
        return self._counted(leaf, field, level)

    def in_(self, message: filter_pb2.Filter, field: str, level: int) -> Filter:
        node = getattr(message, "in")
        path = _path(node.field, field)
        self._spend(FilterSize(level, 0, len(node.values)), field)
        return In(
            path,
            tuple(_scalar(v, f"{field}.values[{i}]") for i, v in enumerate(node.values)),
        )

    def range(self, message: filter_pb2.Filter, field: str, level: int) -> Filter:
        node = message.range
        bounds = {
            name: _bound(getattr(node, name), f"{field}.{name}")
            for name in _BOUNDS
            if node.HasField(name)
        }
        if not bounds:
            raise FilterInvalid(field, "the range has no bound: set at least one")
        for one, other in (("greater_than", "at_least"), ("less_than", "at_most")):
            if one in bounds and other in bounds:
                raise FilterInvalid(f"{field}.{other}", f"set {one} or {other}, not both")
        if len({type(bound) for bound in bounds.values()}) > 1:
            raise FilterInvalid(field, "the bounds must be of one kind")
        return self._counted(Range(_path(node.field, field), **bounds), field, level)

    def exists(self, message: filter_pb2.Filter, field: str, level: int) -> Filter:
        return Exists(_path(message.exists.field, field))

    def prefix(self, message: filter_pb2.Filter, field: str, level: int) -> Filter:
        node = message.prefix
        path = _path(node.field, field)
        if not node.prefix:
            raise FilterInvalid(f"{field}.prefix", "the prefix must not be empty")
        return self._counted(Prefix(path, node.prefix), field, level)

    def text(self, message: filter_pb2.Filter, field: str, level: int) -> Filter:
        node = message.text
        path = _path(node.field, field)
        if node.match not in _MATCHES:
            raise FilterInvalid(f"{field}.match", "say how to compare: set a TextMatch")
        leaf = Text(path, _MATCHES[node.match], node.text, node.ignore_case)
        fault = fault_of(leaf)
        if fault is not None:
            raise FilterInvalid(f"{field}.text", fault)
        return self._counted(leaf, field, level)

    def any_element(self, message: filter_pb2.Filter, field: str, level: int) -> Filter:
        node = message.any_element
        path = _path(node.field, field)
        return AnyElement(path, self.condition(node.filter, f"{field}.filter", level + 1))

    def expression(self, message: filter_pb2.Filter, field: str, level: int) -> Filter:
        parsed = parse_filter(message.expression, field)
        size = measure(parsed)
        # The node of the expression itself is counted already.
        self._spend(FilterSize(level + size.depth - 1, size.nodes - 1, size.values), field)
        return parsed

    def _children(
        self, message: filter_pb2.FilterList, field: str, level: int
    ) -> tuple[Filter, ...]:
        return tuple(
            self.condition(child, f"{field}.filters[{i}]", level + 1)
            for i, child in enumerate(message.filters)
        )

    def _counted(self, leaf: Filter, field: str, level: int) -> Filter:
        self._spend(FilterSize(level, 0, count_values(leaf)), field)
        return leaf

    def _spend(self, size: FilterSize, field: str) -> None:
        self._nodes += size.nodes
        self._values += size.values
        excess = FilterSize(size.depth, self._nodes, self._values).excess()
        if excess is not None:
            raise FilterInvalid(field, excess)


_Translate: TypeAlias = Callable[[_Translation, filter_pb2.Filter, str, int], Filter]
_TRANSLATIONS: dict[str, _Translate] = {
    "all_of": _Translation.all_of,
    "any_of": _Translation.any_of,
    "none_of": _Translation.none_of,
    "equals": _Translation.equals,
    "in": _Translation.in_,
    "range": _Translation.range,
    "exists": _Translation.exists,
    "prefix": _Translation.prefix,
    "text": _Translation.text,
    "any_element": _Translation.any_element,
    "expression": _Translation.expression,
}
_MATCHES: dict[int, TextMatch] = {match.value: match for match in TextMatch}


def _path(text: str, field: str) -> FieldPath:
    try:
        return parse_path(text)
    except ValueError as error:
        raise FilterInvalid(f"{field}.field", str(error)) from error


def _bound(message: filter_pb2.FilterValue, field: str) -> Scalar:
    bound = _scalar(message, field)
    if isinstance(bound, bool):
        raise FilterInvalid(field, "a bound is a number, a string or a timestamp")
    return bound


def _scalar(message: filter_pb2.FilterValue, field: str) -> Scalar:
    kind = message.WhichOneof("kind")
    if kind == "string_value":
        return message.string_value
    if kind == "bool_value":
        return message.bool_value
    if kind == "number_value":
        if not math.isfinite(message.number_value):
            raise FilterInvalid(f"{field}.number_value", "the number must be finite")
        return message.number_value
    if kind == "timestamp_value":
        return instant_from_proto(message.timestamp_value, f"{field}.timestamp_value")
    raise FilterInvalid(field, "the value is empty: set one of its fields")
