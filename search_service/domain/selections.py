"""Changes of all items that meet a filter, some at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from search_service.domain.conditions import Filter
from search_service.domain.confinement import Confinement
from search_service.domain.metadata import Metadata
from search_service.domain.mutations import MutationOutcome


@dataclass(frozen=True, slots=True)
class MetadataChange:
    """New metadata: in the place of what is stored, or merged into it."""

    metadata: Metadata
    merge: bool


@dataclass(frozen=True, slots=True)
class Extent:
    """How far a change of many items is: past ordinal `after`, on the way to `upto`.

    What is stored or replaced later has an ordinal past `upto`, and is left alone.
    """

    upto: int
    after: int = -1


@dataclass(frozen=True, slots=True)
class Selection:
    """The next `count` items that meet `filter` (None: all), and what is done to them.

    `change` None deletes them. `extent` None begins: with all that is stored then. With
    `guard` only what is its caller's is changed.
    """

    filter: Filter | None
    change: MetadataChange | None
    extent: Extent | None
    count: int
    guard: Confinement | None = None


@dataclass(frozen=True, slots=True)
class SelectionOutcome:
    """What became of the items selected; `extent` is where to go on, None: nowhere."""

    outcomes: Sequence[MutationOutcome]
    extent: Extent | None
