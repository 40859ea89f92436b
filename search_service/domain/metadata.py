"""What callers attach to items."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import orjson

from lookalike.wire.errors import InvalidField

JsonValue: TypeAlias = (
    bool | int | float | str | Sequence["JsonValue"] | Mapping[str, "JsonValue"] | None
)
Metadata: TypeAlias = Mapping[str, JsonValue]


def merged(stored: Metadata, patch: Metadata) -> Metadata:
    """Return `stored` with a JSON merge patch (RFC 7396) applied; neither changes.

    It nests no deeper than the deeper of both.
    """
    result = dict(stored)
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, Mapping):
            held = result.get(key)
            result[key] = merged(held if isinstance(held, Mapping) else {}, value)
        else:
            result[key] = value
    return result


def same(one: Metadata, other: Metadata) -> bool:
    """Say whether two JSON objects are the same, in any order of keys; true is not 1."""
    if one != other:
        return False
    first, second = (orjson.dumps(each, option=orjson.OPT_SORT_KEYS) for each in (one, other))
    return first == second


def encode_metadata(metadata: Metadata) -> bytes:
    """Return `metadata` as it is stored.

    Raises:
        InvalidField: it is no JSON object.
    """
    try:
        return orjson.dumps(metadata)
    except orjson.JSONEncodeError as error:
        raise InvalidField(
            "metadata", "the metadata is not JSON: use text, numbers up to 64 bits, and lists"
        ) from error


def decode_metadata(stored: bytes) -> Metadata:
    """Return what `encode_metadata` was given."""
    metadata: Metadata = orjson.loads(stored)
    return metadata
