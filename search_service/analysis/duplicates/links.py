"""What is known of the pairs of a collection: proofs, decisions, and the rest on demand."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np

from search_service.analysis.duplicates.candidates import NearPairs
from search_service.analysis.duplicates.kinds import Kind, PairKinds, Told
from search_service.analysis.duplicates.turns import back
from search_service.analysis.jobs import Progress
from search_service.domain.arrays import F32, I64, Flags


@dataclass(frozen=True, slots=True)
class Decisions:
    """What people decided, by rows; pairs are (lower row, higher row)."""

    duplicates: frozenset[tuple[int, int]]
    different: frozenset[tuple[int, int]]
    kept: frozenset[int]
    ignored: frozenset[int]


@dataclass(frozen=True, slots=True)
class Relation:
    """What one row is to another; `way` is how it was turned: see `turns.py`."""

    kind: Kind
    score: float
    agreement: float
    way: int = 0

    def reversed(self) -> Relation:
        """Return what the other is to it."""
        return replace(self, way=int(back(np.array([self.way]))[0])) if self.way else self


class Links:
    """Looks pairs up, and finds out about those that nobody asked about before.

    Rows of identical pictures stand for one another: `classes`, int64 [n], names the row
    that was compared for each.
    """

    def __init__(
        self,
        vectors: F32,
        classes: I64,
        files: I64,
        kinds: PairKinds,
        threshold: float,
        chosen: Collection[Kind],
        decisions: Decisions,
    ) -> None:
        self._vectors = vectors
        self._classes = classes
        self._files = files
        self._kinds = kinds
        self._threshold = threshold
        self._chosen = np.array(sorted(chosen), dtype=np.int64)
        self._decisions = decisions
        self._known: dict[tuple[int, int], Relation] = {}

    def note(self, pairs: NearPairs, told: Told) -> Flags:
        """Remember what pairs are; return which are of a chosen kind, bool [P]."""
        chosen: Flags = np.isin(told.kinds, self._chosen)
        for at in np.flatnonzero(chosen).tolist():
            key = int(pairs.first[at]), int(pairs.second[at])
            relation = _relation(told, at, float(pairs.scores[at]))
            known = self._known.get(key)
            # A pair may come again from its other side, compared in fewer ways.
            if known is None or _surety(relation) > _surety(known):
                self._known[key] = relation
        return chosen

    def linked(self, row: int, others: I64) -> Flags:
        """Return which rows are linked to one by a chosen kind or a decision, bool [m]."""
        relations = self.relations(row, others)
        linked = np.array([each.kind in self._chosen for each in relations], dtype=np.bool_)
        for at, other in enumerate(others.tolist()):
            pair = (min(row, other), max(row, other))
            if pair in self._decisions.duplicates:
                linked[at] = True
            elif pair in self._decisions.different:
                linked[at] = False
        return linked

    def relations(self, row: int, others: I64) -> list[Relation]:
        """Return what each of some rows is to one: a way is how that was turned to be it."""
        own = int(self._classes[row])
        found: list[Relation | None] = []
        for other, name in zip(others.tolist(), self._classes[others].tolist(), strict=True):
            if name == own:
                found.append(self._identical(row, other))
            else:
                known = self._known.get((min(own, name), max(own, name)))
                found.append(known if known is None or own < name else known.reversed())
        unknown = np.array([at for at, each in enumerate(found) if each is None], dtype=np.int64)
        if len(unknown):
            names = self._classes[others[unknown]]
            first, second = np.minimum(own, names), np.maximum(own, names)
            scores = self._vectors[names] @ self._vectors[own]
            told = self._kinds.of_pairs(first, second, scores, self._threshold, _say_nothing)
            for place, at in enumerate(unknown.tolist()):
                relation = _relation(told, place, float(scores[place]))
                self._known[int(first[place]), int(second[place])] = relation
                found[at] = relation if own < names[place] else relation.reversed()
        return [each for each in found if each is not None]

    def _identical(self, row: int, other: int) -> Relation:
        same_file = self._files[row] == self._files[other] >= 0
        kind = Kind.BYTE_IDENTICAL if same_file else Kind.PIXEL_IDENTICAL
        return Relation(kind, 1.0, 1.0)


def decisions_of(decided: Sequence[Sequence[str]], ids: Sequence[str]) -> Decisions:
    """Return decisions by row; those about items that are not there are left out."""
    rows = {id: row for row, id in enumerate(ids)}
    pairs: dict[str, set[tuple[int, int]]] = {"duplicate": set(), "different": set()}
    single: dict[str, set[int]] = {"keep": set(), "ignore": set()}
    for id, other_id, verdict in decided:
        if id not in rows or (other_id and other_id not in rows):
            continue
        if other_id:
            one, other = sorted((rows[id], rows[other_id]))
            pairs[verdict].add((one, other))
        else:
            single[verdict].add(rows[id])
    return Decisions(
        duplicates=frozenset(pairs["duplicate"]),
        different=frozenset(pairs["different"]),
        kept=frozenset(single["keep"]),
        ignored=frozenset(single["ignore"]),
    )


def _relation(told: Told, at: int, score: float) -> Relation:
    return Relation(Kind(told.kinds[at]), score, float(told.agreement[at]), int(told.ways[at]))


def _surety(relation: Relation) -> tuple[int, float]:
    return -relation.kind, relation.agreement


def _say_nothing(progress: Progress) -> None:
    """Comparisons of a few pairs are over before anybody reads of them."""
