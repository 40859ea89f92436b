"""Filters that people build by choosing, as filters of the contract: no text to be quoted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lookalike.v1 import filter_pb2 as pb
from lookalike.wire.errors import InvalidField
from lookalike.wire.times import parse_time
from lookalike_client.web import values

_MOST_CONDITIONS = 50
_MOST_VALUES = 1_000


def filter_of(body: Mapping[str, Any]) -> pb.Filter | None:
    """Return what `conditions` and the text `expression` say together; None for no filter.

    Raises:
        InvalidField: a condition is none.
    """
    parts = [_condition(each) for each in values.objects(body, "conditions", _MOST_CONDITIONS)]
    expression = values.text(body, "expression", "").strip()
    if expression:
        parts.append(pb.Filter(expression=expression))
    if len(parts) <= 1:
        return parts[0] if parts else None
    return pb.Filter(all_of=pb.FilterList(filters=parts))


def _condition(body: Mapping[str, Any]) -> pb.Filter:
    field, kind = values.text(body, "field"), values.text(body, "op")
    match kind:
        case "in":
            given = body.get("values")
            if not isinstance(given, list) or not 0 < len(given) <= _MOST_VALUES:
                raise InvalidField("values", f"must be a list of 1 to {_MOST_VALUES:,} values")
            chosen = [_value(each) for each in given]
            condition = pb.Filter(**{"in": pb.FieldIn(field=field, values=chosen)})  # type: ignore[arg-type]  # a word of Python
            return pb.Filter(none_of=condition) if values.flag(body, "not") else condition
        case "range":
            bounds = {
                name: _value(body[name])
                for name in ("at_least", "at_most")
                if body.get(name) not in (None, "")
            }
            if not bounds:
                raise InvalidField("at_least", "give a least or a greatest value")
            return pb.Filter(range=pb.FieldRange(field=field, **bounds))
        case "contains":
            text = values.text(body, "value")
            match = pb.TEXT_MATCH_CONTAINS
            return pb.Filter(
                text=pb.FieldText(field=field, match=match, text=text, ignore_case=True)
            )
        case "exists":
            return pb.Filter(exists=pb.FieldExists(field=field))
        case "missing":
            return pb.Filter(none_of=pb.Filter(exists=pb.FieldExists(field=field)))
        case _:
            raise InvalidField("op", "must be in, range, contains, exists or missing")


def _value(given: object) -> pb.FilterValue:
    match given:
        case bool():
            return pb.FilterValue(bool_value=given)
        case int() | float():
            return pb.FilterValue(number_value=float(given))
        case str():
            return pb.FilterValue(string_value=given)
        case {"time": str(text)}:
            moment = parse_time(text)
            if moment is None:
                raise InvalidField("value", f"{text!r} is no time")
            value = pb.FilterValue()
            value.timestamp_value.FromMicroseconds(moment)
            return value
        case _:
            raise InvalidField("value", "must be a text, a number, true or false")
