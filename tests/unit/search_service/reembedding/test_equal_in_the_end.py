"""Two collections are equal in the end, whatever each of them saw first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from hypothesis import given
from hypothesis import strategies as st

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
    def seen(self) -> tuple[int, int]:
        """What a reader sees: the versions of picture and metadata, 0 for none."""
        held = self.registers
        if not held.live:
            return 0, 0
        return held.vector, held.metadata if held.metadata_counts else 0


def settle(one: Side, other: Side) -> None:
    """Write to `one` what it lacks, and offer it the picture that it lacks."""
    lack = lack_of(one.registers, other.registers)
    if lack.deletion:
        one.apply("delete", lack.deletion)
    if lack.metadata:
        one.apply("metadata", lack.metadata)
    if lack.picture:
        one.apply("picture", lack.picture)


CHANGES = st.lists(st.sampled_from(["upload", "metadata", "delete"]), max_size=8).map(
    lambda kinds: [(kind, version) for version, kind in enumerate(kinds, 1)]
)


@given(
    changes=CHANGES,
    orders=st.tuples(st.randoms(use_true_random=False), st.randoms(use_true_random=False)),
    only_source=st.sets(st.integers(1, 8)),
    only_target=st.sets(st.integers(1, 8)),
)
def test_what_each_lacks_makes_them_equal(
    changes: list[Change], orders: Sequence[object], only_source: set[int], only_target: set[int]
) -> None:
    """Images of a pair reach both; any may be late, and any deletion or metadata be missed."""
    source, target, whole = Side(), Side(), Side()
    for change in changes:
        whole.apply(*change)
    seen_first = [each for each in changes if each[1] not in only_target]
    seen_second = [each for each in changes if each[1] not in only_source]
    for side, seen, order in zip((source, target), (seen_first, seen_second), orders, strict=True):
        order.shuffle(seen)  # type: ignore[attr-defined]
        for change in seen:
            side.apply(*change)
    for _ in range(2):
        settle(target, source)
        settle(source, target)
    assert difference("id", source.registers, target.registers) is None
    assert source.seen == target.seen
    everywhere = only_source & only_target & {version for _, version in changes}
    if not everywhere:
        assert source.seen == whole.seen
