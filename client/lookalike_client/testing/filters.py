"""Conditions on metadata, evaluated item by item."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, TypeAlias

from lookalike.v1 import filter_pb2
from lookalike.wire.errors import FilterInvalid
from lookalike.wire.times import parse_time
from lookalike_client.testing.filter_text import parse
from lookalike_client.testing.texts import fitting
from lookalike_client.types import FieldValue, JsonValue, Metadata

Path: TypeAlias = tuple[str, ...]
# A value with the rank of its kind, which sorts false, true, numbers, strings, and
# keeps true and 1 apart.
Value: TypeAlias = tuple[int, FieldValue]
Values: TypeAlias = Mapping[Path, frozenset[Value]]
Check: TypeAlias = Callable[["Held"], bool]
_Key: TypeAlias = tuple[str, FieldValue]

_BOOL, _NUMBER, _STRING = range(3)
_KEY = re.compile(r"`((?:[^`]|``)+)`|([^.`]+)")


class Held:
    """What an object holds: itself, and the values under each path in it."""

    def __init__(self, metadata: Metadata) -> None:
        self.metadata = metadata
        self.values: Values = values_of(metadata)


def matches(check: Check, metadata: Metadata) -> bool:
    """Return whether metadata meets a condition."""
    return check(Held(metadata))


def meets(condition: filter_pb2.Filter) -> Check:
    """Return a filter as a check; one without a condition is met by everything.

    Raises:
        FilterInvalid: it cannot be read.
    """
    match condition.WhichOneof("condition"):
        case None:
            return lambda held: True
        case "expression":
            return meets(parse(condition.expression))
        case "all_of":
            every = [meets(each) for each in condition.all_of.filters]
            return lambda held: all(check(held) for check in every)
        case "any_of":
            some = [meets(each) for each in condition.any_of.filters]
            return lambda held: any(check(held) for check in some)
        case "none_of":
            wrong = meets(condition.none_of)
            return lambda held: not wrong(held)
        case "any_element":
            node = condition.any_element
            if node.filter.WhichOneof("condition") is None:
                raise FilterInvalid("filter", "the condition is empty: set one of its fields")
            path, inner = _path(node.field), meets(node.filter)
            return lambda held: any(inner(Held(each)) for each in _objects_at(held.metadata, path))
        case _:
            return _field_check(condition)


def read_path(text: str) -> Path:
    """Return the keys of a path such as "camera.model".

    Raises:
        ValueError: it is none.
    """
    keys, position = [], 0
    while match := _KEY.match(text, position):
        quoted, bare = match.groups()
        keys.append(quoted.replace("``", "`") if quoted else bare)
        position = match.end()
        if position == len(text):
            return tuple(keys)
        if text[position] != ".":
            break
        position += 1
    raise ValueError(f"{text!r} is no path of keys joined by dots")


def values_of(metadata: Metadata) -> dict[Path, frozenset[Value]]:
    """Return the values under each path that is there; elements stand under their list's."""
    found: dict[Path, set[Value]] = {}

    def visit(value: JsonValue, path: Path) -> None:
        if value is None:
            return
        held = found.setdefault(path, set())
        if isinstance(value, bool):
            held.add((_BOOL, value))
        elif isinstance(value, str):
            held.add((_STRING, value))
        elif isinstance(value, int | float):
            held.add((_NUMBER, float(value)))
        elif isinstance(value, Mapping):
            for key, each in value.items():
                visit(each, (*path, key))
        else:
            for each in value:
                visit(each, path)

    for key, value in metadata.items():
        visit(value, (key,))
    return {path: frozenset(held) for path, held in found.items()}


def _field_check(condition: filter_pb2.Filter) -> Check:
    match condition.WhichOneof("condition"):
        case "exists":
            path = _path(condition.exists.field)
            return lambda held: path in held.values
        case "equals":
            return _any_at(condition.equals.field, _equals(condition.equals.value))
        case "in":
            one_of = getattr(condition, "in")
            checks = [_equals(value) for value in one_of.values]
            return _any_at(one_of.field, lambda value: any(check(value) for check in checks))
        case "prefix":
            prefix = condition.prefix.prefix
            if not prefix:
                raise FilterInvalid("filter", "the prefix must not be empty")
            return _any_at(
                condition.prefix.field,
                lambda value: isinstance(value[1], str) and value[1].startswith(prefix),
            )
        case "text":
            return _any_at(condition.text.field, fitting(condition.text))
        case _:
            return _any_at(condition.range.field, _within(condition.range))


def _objects_at(value: JsonValue, path: Path) -> Iterator[Metadata]:
    """Yield the objects under a path, in each element of the lists on the way."""
    if isinstance(value, Mapping):
        if not path:
            yield value
        else:
            yield from _objects_at(value.get(path[0]), path[1:])
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for each in value:
            yield from _objects_at(each, path)


def _any_at(field: str, test: Callable[[Value], bool]) -> Check:
    path = _path(field)
    return lambda held: any(test(value) for value in held.values.get(path, ()))


def _equals(wanted: filter_pb2.FilterValue) -> Callable[[Value], bool]:
    key = _key_of(wanted)
    return lambda value: _comparable(value, key) == key


def _within(bounds: filter_pb2.FieldRange) -> Callable[[Value], bool]:
    ends = [
        (holds, _key_of(getattr(bounds, name)))
        for name, holds in _COMPARISONS.items()
        if bounds.HasField(name)
    ]
    if not ends:
        raise FilterInvalid("filter", "a range needs a bound")

    def within(value: Value) -> bool:
        key = _comparable(value, ends[0][1])
        return all(key[0] == bound[0] and holds(key[1], bound[1]) for holds, bound in ends)

    return within


_Bound: TypeAlias = Literal["greater_than", "at_least", "less_than", "at_most"]
# Of values of one kind, which mypy cannot know.
_COMPARISONS: dict[_Bound, Callable[[Any, Any], bool]] = {
    "greater_than": operator.gt,
    "at_least": operator.ge,
    "less_than": operator.lt,
    "at_most": operator.le,
}
_KINDS = {_BOOL: "bool_value", _NUMBER: "number_value", _STRING: "string_value"}


def _key_of(wanted: filter_pb2.FilterValue) -> _Key:
    kind = wanted.WhichOneof("kind")
    if kind is None:
        raise FilterInvalid("filter", "a value needs a kind")
    if kind == "timestamp_value":
        return kind, wanted.timestamp_value.ToMicroseconds()
    return kind, getattr(wanted, kind)


def _comparable(value: Value, other: _Key) -> _Key:
    """Return a stored value in the kind of what it is compared with, or in its own."""
    rank, held = value
    if other[0] == "timestamp_value" and isinstance(held, str):
        epoch_us = parse_time(held)
        if epoch_us is not None:
            return other[0], epoch_us
    return _KINDS[rank], held


def _path(field: str) -> Path:
    try:
        return read_path(field)
    except ValueError as error:
        raise FilterInvalid("filter", str(error)) from error
