"""How far a change of all items that meet a filter is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lookalike_client.types.mutations import MutationResult


@dataclass(frozen=True, slots=True)
class DeleteProgress:
    """Of `items` in the collection `matched` met the filter at first; so many are deleted."""

    matched: int
    items: int
    deleted: int
    done: bool


@dataclass(frozen=True, slots=True)
class UpdateProgress:
    """Of `items` in the collection `matched` met the filter at first.

    So far so many were updated, had that metadata already (`unchanged`), or could not be
    changed (`failed`); `failures` are those since the progress before, with their errors.
    """

    matched: int
    items: int
    updated: int
    unchanged: int
    failed: int
    failures: Sequence[MutationResult]
    done: bool
