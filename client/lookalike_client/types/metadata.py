"""Metadata of items: JSON objects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, time
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Any, TypeAlias
from uuid import UUID

import numpy as np
import numpy.typing as npt

JsonValue: TypeAlias = (
    bool | int | float | str | Sequence["JsonValue"] | Mapping[str, "JsonValue"] | None
)

# What is stored.
Metadata: TypeAlias = Mapping[str, JsonValue]

# What is taken: also what has one obvious form in JSON. A datetime is a date to Python.
MetadataValue: TypeAlias = (
    JsonValue
    | date
    | time
    | Decimal
    | UUID
    | PurePath
    | Enum
    | np.generic
    | npt.NDArray[Any]
    | Sequence["MetadataValue"]
    | Mapping[str, "MetadataValue"]
)
MetadataLike: TypeAlias = Mapping[str, MetadataValue]

# The value of a field that items are counted or grouped by; whole numbers are int.
FieldValue: TypeAlias = str | int | float | bool
