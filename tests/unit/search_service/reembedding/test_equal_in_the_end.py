"""Two collections are equal in the end, whatever each of them saw first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations, product

import pytest

from search_service.reembedding.comparing import difference, lack_of
from search_service.store.rules import (
    Registers,
    judge_delete,
    judge_metadata,
    judge_upsert,
)

Change = tuple[str, int]  # kind and version


@dataclass
class Side:
    """One id in one collection, by the rules of the store."""

    registers: Registers = field(default_factory=Registers)

    def apply(self, kind: str, version: int) -> None:
        held = self.registers
        if kind in ("upload", "picture"):
            keeps = kind == "picture"
            judged = judge_upsert(held, version, keeps_metadata=keeps)
            vector = version if judged.writes_vector else held.vector
            told = version if judged.writes_metadata else held.metadata
            self.registers = Registers(vector, told, held.delete)
        elif kind == "metadata":
            if judge_metadata(held, version).writes_metadata:
                self.registers = replace(held, metadata=version)
        else:
            judged = judge_delete(held, version)
            if judged.deletes or judged.clears_metadata:
                self.registers = replace(held, delete=version)

    @property
    def visible(self) -> tuple[int, int]:
        """What a reader sees: the versions of picture and metadata, 0 for none."""
        held = self.registers
        if not held.live:
            return 0, 0
        return held.vector, held.metadata if held.metadata_counts else 0


def seen(changes: Sequence[Change]) -> Side:
    side = Side()
    for change in changes:
        side.apply(*change)
    return side


def settle(one: Side, other: Side) -> None:
    """Write to `one` what it lacks, and offer it the picture that it lacks."""
    lack = lack_of(one.registers, other.registers)
    if lack.deletion:
        one.apply("delete", lack.deletion)
    if lack.metadata:
        one.apply("metadata", lack.metadata)
    if lack.picture:
        one.apply("picture", lack.picture)


KINDS = ("upload", "picture", "metadata", "delete")
COUNT = 3
SETS = [
    frozenset(some) for size in range(COUNT + 1) for some in combinations(range(1, COUNT + 1), size)
]
ORDERS = [(first, second) for first in (1, -1) for second in (1, -1)]


@pytest.mark.parametrize("kinds", list(product(KINDS, repeat=COUNT)))
def test_what_each_lacks_makes_them_equal(kinds: Sequence[str]) -> None:
    """Whichever changes either has missed, and in whichever order it saw the others."""
    changes = [(kind, version) for version, kind in enumerate(kinds, 1)]
    whole = seen(changes)
    for missed_first, missed_second in product(SETS, SETS):
        first = [change for change in changes if change[1] not in missed_first]
        second = [change for change in changes if change[1] not in missed_second]
        for one, other in ORDERS:
            source, target = seen(first[::one]), seen(second[::other])
            for _ in range(2):
                settle(target, source)
                settle(source, target)
            what = (changes, missed_first, missed_second, one, other)
            assert difference("id", source.registers, target.registers) is None, what
            assert source.visible == target.visible, what
            if not missed_first & missed_second:
                assert source.visible == whole.visible, what
