"""What a committed group changes in memory, in order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from search_service.domain.arrays import F32
from search_service.domain.metadata import Metadata


@dataclass(frozen=True, slots=True)
class Added:
    """An item became live under a new ordinal, its vector's; float32 [D].

    Each of its `further` vectors has one of the ordinals that follow.
    """

    ordinal: int
    id: str
    vector: F32
    metadata: Metadata
    further: tuple[F32, ...] = ()


@dataclass(frozen=True, slots=True)
class Killed:
    """An item's ordinal is dead, and the `further` ones after it; `metadata` is what it had."""

    ordinal: int
    metadata: Metadata
    further: int = 0


@dataclass(frozen=True, slots=True)
class MetadataChanged:
    """An ordinal has other metadata."""

    ordinal: int
    before: Metadata
    after: Metadata


Effect: TypeAlias = Added | Killed | MetadataChanged
