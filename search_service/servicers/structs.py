"""`google.protobuf.Struct` to JSON objects and back.

`json_format` does the same in the same time, but stops at no limit and lets NaN
through: here a hostile object is refused before it is converted.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, Protocol

import orjson
from google.protobuf import struct_pb2

from lookalike.wire.errors import InvalidField, LimitExceeded
from search_service.domain.conditions import FieldPath
from search_service.domain.confinement import Confinement
from search_service.domain.metadata import JsonValue, Metadata
from search_service.limits import MAX_METADATA_BYTES, MAX_METADATA_LEVELS

# Every JSON element takes less than 8 times its compact size as a Struct (the
# worst is a one-digit number: 2 bytes against 11): what is larger is refused
# before any of it is converted.
_MAX_STRUCT_BYTES = 8 * MAX_METADATA_BYTES

# Whole numbers up to here are the same as float64 and as int.
_MAX_EXACT = 2**53


def read_metadata(struct: struct_pb2.Struct, field: str) -> Metadata:
    """Return `struct` as a JSON object; whole numbers become int.

    Raises:
        InvalidField: NaN, infinity, or a value without a kind.
        LimitExceeded: more bytes as compact JSON, or more levels, than allowed.
    """
    if not struct.fields:
        return {}
    if struct.ByteSize() > _MAX_STRUCT_BYTES:
        raise _too_large(field)
    metadata = _read_object(struct, field, 1)
    if len(orjson.dumps(metadata)) > MAX_METADATA_BYTES:
        raise _too_large(field)
    return metadata


def check_kept(struct: struct_pb2.Struct, field: str) -> None:
    """Check that a mutation that keeps the stored metadata brings none.

    Raises:
        InvalidField: it brings some.
    """
    if struct.fields:
        raise InvalidField(field, "must be empty where keep_metadata is set")


class Guarded(Protocol):
    """A message that may have a `guard`."""

    @property
    def guard(self) -> struct_pb2.Struct:
        """Values that an item must hold."""

    def HasField(self, _name: Literal["guard"], /) -> bool:  # noqa: N802 - protobuf's name
        """Say whether it has one."""


def read_guard(message: Guarded, field: str) -> Confinement | None:
    """Return what the items are held to that a message may change; None: to nothing.

    Raises:
        InvalidField: it has other values than texts, numbers and booleans, or none.
        LimitExceeded: see `read_metadata`.
    """
    if not message.HasField("guard"):
        return None
    name = f"{field}.guard"
    fields = list(_leaves(read_metadata(message.guard, name), (), name))
    if not fields:
        raise InvalidField(name, "names no value; leave it out to hold items to nothing")
    return Confinement(tuple(fields))


def _leaves(
    held: Metadata, above: FieldPath, field: str
) -> Iterator[tuple[FieldPath, str | float | bool]]:
    for key, value in held.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, (*above, key), field)
        elif isinstance(value, str | int | float):
            yield (*above, key), value
        else:
            raise InvalidField(field, f'"{key[:64]}" is no text, number or boolean')


def write_metadata(metadata: Metadata, struct: struct_pb2.Struct) -> None:
    """Fill an empty `struct` with a JSON object."""
    fields = struct.fields
    for key, value in metadata.items():
        _write_value(value, fields[key])


def _read_object(struct: struct_pb2.Struct, field: str, level: int) -> dict[str, JsonValue]:
    if level > MAX_METADATA_LEVELS:
        raise LimitExceeded(field, f"nests deeper than {MAX_METADATA_LEVELS} levels")
    return {key: _read_value(value, field, key, level) for key, value in struct.fields.items()}


def _read_list(values: struct_pb2.ListValue, field: str, key: str, level: int) -> list[JsonValue]:
    if level > MAX_METADATA_LEVELS:
        raise LimitExceeded(field, f"nests deeper than {MAX_METADATA_LEVELS} levels")
    return [_read_value(value, field, key, level) for value in values.values]


def _read_value(value: struct_pb2.Value, field: str, key: str, level: int) -> JsonValue:
    match value.WhichOneof("kind"):
        case "string_value":
            return value.string_value
        case "number_value":
            return _read_number(value.number_value, field, key)
        case "bool_value":
            return value.bool_value
        case "null_value":
            return None
        case "struct_value":
            return _read_object(value.struct_value, field, level + 1)
        case "list_value":
            return _read_list(value.list_value, field, key, level + 1)
        case _:
            raise InvalidField(field, f'the value of "{key[:64]}" has no kind')


def _read_number(number: float, field: str, key: str) -> int | float:
    if not math.isfinite(number):
        raise InvalidField(field, f'"{key[:64]}" is NaN or infinite; JSON has no such number')
    return int(number) if number.is_integer() and abs(number) <= _MAX_EXACT else number


def _write_value(value: JsonValue, target: struct_pb2.Value) -> None:
    if isinstance(value, str):
        target.string_value = value
    elif value is None:
        target.null_value = struct_pb2.NULL_VALUE
    elif isinstance(value, bool):
        target.bool_value = value
    elif isinstance(value, int | float):
        target.number_value = value
    elif isinstance(value, Mapping):
        target.struct_value.SetInParent()
        write_metadata(value, target.struct_value)
    elif isinstance(value, Sequence):
        target.list_value.SetInParent()
        for element in value:
            _write_value(element, target.list_value.values.add())


def _too_large(field: str) -> LimitExceeded:
    return LimitExceeded(field, f"is larger than {MAX_METADATA_BYTES:,} bytes as compact JSON")
