"""In which order items are moved, so that none is overwritten before it was read."""

import random

import pytest

from lookalike_client.syncing.moves import in_order
from lookalike_client.syncing.plan import Move
from lookalike_client.syncing.state import MoveRecord
from tests.unit.lookalike_client.syncing.test_plan import read


def move(source: str, target: str, *, kept: bool = False) -> Move:
    (file,) = read(**{target: f"content of {source}"})
    record = MoveRecord(target, source, file.sha256, b"item") if kept else None
    return Move(file, source, record)


def moved(moves: list[Move]) -> dict[str, str]:
    """Contents by id after the moves, of items that hold "content of ID" before."""
    held = {each.source: f"content of {each.source}" for each in moves}
    for chunk, _ in in_order(moves):
        taken = {
            each.file.entry.id: each.file.sha256 if each.record else held[each.source]
            for each in chunk
        }
        held.update(taken)
    return held


@pytest.mark.parametrize("seed", range(20))
def test_no_move_overwrites_what_a_later_one_needs(seed: int) -> None:
    """Random one-to-one renames: chains longer than a chunk, circles, some kept already."""
    rng = random.Random(seed)
    names = [f"{number}" for number in range(400)]
    targets = rng.sample(names + [f"new-{number}" for number in range(40)], len(names))
    moves = [
        move(source, target, kept=rng.random() < 0.2)
        for source, target in zip(names, targets, strict=True)
        if source != target
    ]

    held = moved(moves)

    assert len(moves) > 300
    assert all(held[each.file.entry.id] == each.file.sha256 for each in moves)


def test_only_circles_are_kept() -> None:
    chain = [move(f"{number}", f"{number + 1}") for number in range(250)]
    circle = [move("a", "b"), move("b", "c"), move("c", "a")]

    chunks = list(in_order([*chain, *circle]))

    assert [len(chunk) for chunk, keep in chunks if keep] == [3]
    assert sum(len(chunk) for chunk, _ in chunks) == 253
