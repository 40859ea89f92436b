"""What a committed group changes in memory, in order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from search_service.domain.arrays import F32
from search_service.domain.metadata import Metadata


@dataclass(frozen=True, slots=True)
class Added:
    """A vector became live under a new ordinal; float32 [D]."""

    ordinal: int
    id: str
    vector: F32
    metadata: Metadata


@dataclass(frozen=True, slots=True)
class Killed:
    """An ordinal is dead; `metadata` is what it had."""

    ordinal: int
    metadata: Metadata


@dataclass(frozen=True, slots=True)
class MetadataChanged:
    """An ordinal has other metadata."""

    ordinal: int
    before: Metadata
    after: Metadata


Effect: TypeAlias = Added | Killed | MetadataChanged
