"""How a group of duplicates stands, by what was decided. Knows no transport.

One item of a group is kept, and each other one is a duplicate of it, is not, is kept as
well, or is still open. Only what a chain of decisions connects with the kept one may go.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from lookalike_client.types import DuplicateDecision, DuplicateGroup, DuplicateVerdict

# The ids of a pair in order, or an id and "".
Subject: TypeAlias = tuple[str, str]
Verdicts: TypeAlias = Mapping[Subject, DuplicateVerdict]


class Standing(StrEnum):
    """What an item of a group is."""

    KEEPER = "keeper"
    KEPT = "kept"
    DUPLICATE = "duplicate"
    DIFFERENT = "different"
    IGNORED = "ignored"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class GroupState:
    """The standing of each member, in the order of the group; `keeper` is a place in it."""

    keeper: int
    standings: Sequence[Standing]

    @property
    def done(self) -> bool:
        """Whether nothing is open."""
        return Standing.OPEN not in self.standings

    def places(self, standing: Standing) -> list[int]:
        """Return which members stand so."""
        return [place for place, each in enumerate(self.standings) if each is standing]


def subject(id: str, other: str = "") -> Subject:
    """Return what a decision is on: a pair is the same in either order."""
    return (min(id, other), max(id, other)) if other else (id, "")


def verdicts_of(decisions: Iterable[DuplicateDecision]) -> dict[Subject, DuplicateVerdict]:
    """Return decisions by what they are on."""
    return {subject(each.id, each.other_id): each.verdict for each in decisions}


def state_of(
    group: DuplicateGroup, verdicts: Verdicts, gone: frozenset[str] | set[str]
) -> GroupState:
    """Say how a group stands; what is `gone` is ignored."""
    ids = [each.id for each in group.members]
    alone = [DuplicateVerdict.IGNORE if id in gone else verdicts.get((id, "")) for id in ids]
    keeper = next(
        (place for place, each in enumerate(alone) if each is DuplicateVerdict.KEEP),
        next((place for place, each in enumerate(alone) if each is not DuplicateVerdict.IGNORE), 0),
    )
    connected = _connected(ids, keeper, alone, verdicts)
    standings = []
    for place, id in enumerate(ids):
        with_keeper = verdicts.get(subject(ids[keeper], id))
        if alone[place] is DuplicateVerdict.IGNORE:
            standings.append(Standing.IGNORED)
        elif place == keeper:
            standings.append(Standing.KEEPER)
        elif alone[place] is DuplicateVerdict.KEEP:
            standings.append(Standing.KEPT)
        elif with_keeper is DuplicateVerdict.DIFFERENT:
            standings.append(Standing.DIFFERENT)
        elif place in connected:
            standings.append(Standing.DUPLICATE)
        else:
            standings.append(Standing.OPEN)
    return GroupState(keeper, standings)


def _connected(
    ids: Sequence[str],
    keeper: int,
    alone: Sequence[DuplicateVerdict | None],
    verdicts: Verdicts,
) -> set[int]:
    """Return what decisions connect with the keeper, by way of items that may go too."""
    found, waiting = {keeper}, [keeper]
    apart = {
        place
        for place, id in enumerate(ids)
        if verdicts.get(subject(ids[keeper], id)) is DuplicateVerdict.DIFFERENT
        or alone[place] is DuplicateVerdict.IGNORE
    }
    while waiting:
        at = waiting.pop()
        for place, id in enumerate(ids):
            if place in found or place in apart:
                continue
            if verdicts.get(subject(ids[at], id)) is DuplicateVerdict.DUPLICATE:
                found.add(place)
                waiting.append(place)
    return found
