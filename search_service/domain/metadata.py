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
