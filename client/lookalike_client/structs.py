"""JSON objects as `google.protobuf.Struct`, and back."""

from __future__ import annotations

from collections.abc import Mapping

from google.protobuf.struct_pb2 import ListValue, Struct, Value

from lookalike_client import metadata_values
from lookalike_client.types import JsonValue, MetadataLike

# Every element of compact JSON takes less than 8 times its size here; the service holds
# the bound itself, this one keeps a single object from filling a message.
_MAX_MESSAGE_BYTES = 8 * metadata_values.MAX_BYTES


def from_dict(metadata: MetadataLike) -> Struct:
    """Return an object of a caller's as a message.

    Raises:
        InvalidField: it holds what JSON has not, or what would be changed: by its key.
        LimitExceeded: it is too large.
    """
    message = _struct(metadata_values.plain(metadata))
    if message.ByteSize() > _MAX_MESSAGE_BYTES:
        raise metadata_values.too_large()
    return message


def to_dict(message: Struct) -> dict[str, JsonValue]:
    """Return a JSON object; whole numbers become `int`."""
    return {key: _to_json(value) for key, value in message.fields.items()}


def _struct(value: Mapping[str, JsonValue]) -> Struct:
    message = Struct()
    for key, each in value.items():
        message.fields[key].CopyFrom(_from_json(each))
    return message


def _from_json(value: JsonValue) -> Value:
    match value:
        case None:
            return Value(null_value=0)  # type: ignore[arg-type]  # the enum's only number
        case bool():
            return Value(bool_value=value)
        case int() | float():
            return Value(number_value=value)
        case str():
            return Value(string_value=value)
        case Mapping():
            return Value(struct_value=_struct(value))
        case _:
            return Value(list_value=ListValue(values=[_from_json(each) for each in value]))


def _to_json(value: Value) -> JsonValue:
    match value.WhichOneof("kind"):
        case "number_value":
            return metadata_values.number(value.number_value)
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
