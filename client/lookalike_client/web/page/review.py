"""A review of duplicates: groups, decisions, and what would go. Knows no transport."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from lookalike_client.types import (
    DuplicateDecision,
    DuplicateGroup,
    DuplicatesReport,
    DuplicateVerdict,
)
from lookalike_client.web.page.groups import (
    GroupState,
    Standing,
    Subject,
    state_of,
    subject,
    verdicts_of,
)
from lookalike_client.web.page.plain import plain

# A name for what people read.
_NO_VERDICT = DuplicateVerdict.UNDECIDED


@dataclass(frozen=True, slots=True)
class Leaving:
    """An item that would go, and the one that is kept in its place."""

    id: str
    keeper: str
    size_bytes: int


class Review:
    """The groups of one search for duplicates, and how each stands."""

    def __init__(
        self, id: str, collection: str, report: DuplicatesReport, decided: list[DuplicateDecision]
    ) -> None:
        self.id, self.collection, self.report = id, collection, report
        self._verdicts = verdicts_of(decided)
        self._gone: set[str] = set()
        self._groups_of: dict[str, list[int]] = {}
        for number, group in enumerate(report.groups):
            for member in group.members:
                self._groups_of.setdefault(member.id, []).append(number)
        self._states = [self._judge(group) for group in report.groups]
        self._done = sum(each.done for each in self._states)

    @property
    def groups(self) -> Sequence[DuplicateGroup]:
        """The groups, in the order of the search."""
        return self.report.groups

    def progress(self) -> dict[str, Any]:
        """Say how far the review is."""
        return {
            "groups": len(self.groups),
            "done": self._done,
            "first_open": self._first_open(),
            "members": len(self._groups_of),
            "threshold": self.report.threshold,
            "items": self.report.items,
            "without_pictures": self.report.without_pictures,
            "cut": self.report.cut,
        }

    def group(self, number: int) -> dict[str, Any]:
        """Return a group with its members' facts and standings."""
        group, state = self.groups[number], self._states[number]
        members: list[dict[str, Any]] = []
        for member, standing in zip(group.members, state.standings, strict=True):
            document = plain(member)
            assert isinstance(document, dict)
            members.append({**document, "standing": standing, "gone": member.id in self._gone})
        return {
            "number": number,
            "members": members,
            "keeper": state.keeper,
            "suggested": 0,
            "reasons": list(group.reasons),
            "left_out": group.left_out,
            "done": state.done,
        }

    def before(self, decisions: Iterable[DuplicateDecision]) -> list[DuplicateDecision]:
        """Return the decisions that take the given ones back."""
        return [
            DuplicateDecision(
                each.id,
                self._verdicts.get(subject(each.id, each.other_id), _NO_VERDICT),
                each.other_id,
            )
            for each in decisions
        ]

    def note(self, decisions: Collection[DuplicateDecision]) -> list[int]:
        """Note decisions; return the groups that they are about."""
        touched: set[int] = set()
        for each in decisions:
            key = subject(each.id, each.other_id)
            if each.verdict is DuplicateVerdict.UNDECIDED:
                self._verdicts.pop(key, None)
            else:
                self._verdicts[key] = each.verdict
            touched.update(self._groups_about(key))
        self._judge_again(touched)
        return sorted(touched)

    def alike(self, kinds: Collection[str], above: float | None) -> list[DuplicateDecision]:
        """Return decisions that take what is open and alike enough for duplicates.

        Both the kept item and the other one have to be of the kind, or as near, to the one
        that they were compared with.
        """
        made = []
        for group, state in zip(self.groups, self._states, strict=True):
            keeper = group.members[state.keeper]
            for place in state.places(Standing.OPEN):
                member = group.members[place]
                related = [each for each in (keeper, member) if each.kind is not None]
                by_kind = bool(kinds) and all(each.kind in kinds for each in related)
                by_score = above is not None and all(each.score >= above for each in related)
                if by_kind or by_score:
                    verdict = DuplicateVerdict.DUPLICATE
                    made.append(DuplicateDecision(keeper.id, verdict, member.id))
        return made

    def leaving(self) -> list[Leaving]:
        """Return what would go: duplicates of what is kept."""
        found: dict[str, Leaving] = {}
        kept = {
            group.members[state.keeper].id
            for group, state in zip(self.groups, self._states, strict=True)
        }
        for group, state in zip(self.groups, self._states, strict=True):
            keeper = group.members[state.keeper]
            for place in state.places(Standing.DUPLICATE):
                member = group.members[place]
                if member.id not in kept and member.id not in self._gone:
                    found[member.id] = Leaving(member.id, keeper.id, member.size_bytes)
        return list(found.values())

    def forget(self, ids: Iterable[str]) -> None:
        """Note that items are no longer there."""
        ids = list(ids)
        self._gone.update(ids)
        self._judge_again({number for id in ids for number in self._groups_of.get(id, ())})

    def _groups_about(self, key: Subject) -> set[int]:
        numbers = set(self._groups_of.get(key[0], ()))
        return numbers & set(self._groups_of.get(key[1], ())) if key[1] else numbers

    def _judge_again(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            self._done -= self._states[number].done
            self._states[number] = self._judge(self.groups[number])
            self._done += self._states[number].done

    def _judge(self, group: DuplicateGroup) -> GroupState:
        return state_of(group, self._verdicts, self._gone)

    def _first_open(self) -> int | None:
        return next((number for number, each in enumerate(self._states) if not each.done), None)


def digest_of(leaving: Iterable[Leaving]) -> str:
    """Return what stands for exactly these deletions."""
    hashed = hashlib.sha256()
    for each in sorted(leaving, key=lambda each: each.id):
        for text in (each.id, each.keeper):
            data = text.encode()
            hashed.update(len(data).to_bytes(4, "big") + data)
    return hashed.hexdigest()
