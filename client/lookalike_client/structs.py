"""JSON objects as `google.protobuf.Struct`, and back."""

from __future__ import annotations

from collections.abc import Mapping

from google.protobuf.struct_pb2 import NULL_VALUE, Struct, Value

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
    message = Struct()
    for key, value in metadata_values.plain(metadata).items():
        _set(message.fields[key], value)
    if message.ByteSize() > _MAX_MESSAGE_BYTES:
        raise metadata_values.too_large()
    return message


def to_dict(message: Struct) -> dict[str, JsonValue]:
    """Return a JSON object; whole numbers become `int`."""
    return {key: _to_json(value) for key, value in message.fields.items()}


def _set(target: Value, value: JsonValue) -> None:
    if isinstance(value, str):
        target.string_value = value
    elif value is None:
        target.null_value = NULL_VALUE
    elif isinstance(value, bool):
        target.bool_value = value
    elif isinstance(value, int | float):
        target.number_value = value
    elif isinstance(value, Mapping):
        target.struct_value.SetInParent()
        for key, each in value.items():
            _set(target.struct_value.fields[key], each)
    else:
        target.list_value.SetInParent()
        for each in value:
            _set(target.list_value.values.add(), each)


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
