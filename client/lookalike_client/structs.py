"""JSON objects as `google.protobuf.Struct`, and back."""

from __future__ import annotations

import math
from collections.abc import Mapping

from google.protobuf.struct_pb2 import ListValue, Struct, Value

from lookalike.wire.errors import InvalidField
from lookalike_client.types import JsonValue, Metadata

# Integers that float64 holds exactly; above, a whole number may be a rounded one.
_EXACT_INTEGER = 2**53
# Deeper metadata than the contract allows (8 levels) is refused here already, so
# that a self-referencing dict cannot recurse for ever.
_MAX_DEPTH = 64


def from_dict(metadata: Metadata) -> Struct:
    """Return a JSON object as a message.

    Raises:
        InvalidField: a key is no string, a value is not JSON, or it nests too deep.
    """
    return _struct(metadata, "metadata", 0)


def to_dict(message: Struct) -> dict[str, JsonValue]:
    """Return a JSON object; whole numbers become `int`."""
    return {key: _to_json(value) for key, value in message.fields.items()}


def _struct(value: Mapping[str, JsonValue], field: str, depth: int) -> Struct:
    if depth > _MAX_DEPTH:
        raise InvalidField("metadata", f"nests deeper than {_MAX_DEPTH} levels")
    message = Struct()
    for key, each in value.items():
        if not isinstance(key, str):
            raise InvalidField(field, f"keys must be strings, got {type(key).__name__}")
        message.fields[key].CopyFrom(_from_json(each, f"{field}.{key}", depth + 1))
    return message


def _from_json(value: JsonValue, field: str, depth: int) -> Value:
    match value:
        case None:
            return Value(null_value=0)  # type: ignore[arg-type]  # the enum's only number
        case bool():
            return Value(bool_value=value)
        case int() | float():
            if not math.isfinite(value):
                raise InvalidField(field, "JSON has no NaN or infinity")
            return Value(number_value=value)
        case str():
            return Value(string_value=value)
        case Mapping():
            return Value(struct_value=_struct(value, field, depth))
        case list() | tuple():
            if depth > _MAX_DEPTH:
                raise InvalidField("metadata", f"nests deeper than {_MAX_DEPTH} levels")
            values = [_from_json(each, field, depth + 1) for each in value]
            return Value(list_value=ListValue(values=values))
        case _:
            raise InvalidField(field, f"{type(value).__name__} is not a JSON value")


def _to_json(value: Value) -> JsonValue:
    match value.WhichOneof("kind"):
        case "number_value":
            number = value.number_value
            whole = number.is_integer() and abs(number) <= _EXACT_INTEGER
            return int(number) if whole else number
        case "string_value":
            return value.string_value
        case "bool_value":
            return value.bool_value
        case "struct_value":
            return to_dict(value.struct_value)
        case "list_value":
            return [_to_json(each) for each in value.list_value.values]
        case _:
            return None
