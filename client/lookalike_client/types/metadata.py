"""Metadata of items: JSON objects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

JsonValue: TypeAlias = (
    bool | int | float | str | Sequence["JsonValue"] | Mapping[str, "JsonValue"] | None
)

Metadata: TypeAlias = Mapping[str, JsonValue]

FieldValue: TypeAlias = str | float | bool
