"""Rows of the head that were replaced or deleted give their memory back."""

from __future__ import annotations

import numpy as np
import pytest

from search_service.domain.effects import Added, Effect, Killed
from search_service.shard.live.head import BLOCK_ROWS
from search_service.shard.live.memory import Memory
from search_service.shard.live.view import LiveView
from tests.unit.search_service.shard.kit import random_units

DIMENSION = 8
ROWS = random_units(4 * BLOCK_ROWS, DIMENSION, seed=8)


def added(*ordinals: int) -> list[Effect]:
    return [Added(ordinal, f"item-{ordinal}", ROWS[ordinal], {}) for ordinal in ordinals]


def filled(count: int) -> Memory:
    memory = Memory(DIMENSION)
    memory.apply(added(*range(1, count + 1)))
    return memory


def live_rows(view: LiveView) -> dict[int, tuple[float, ...]]:
    """Return what a reader of this moment finds in the head, by ordinal."""
    found: dict[int, tuple[float, ...]] = {}
    for part in view.head:
        alive = view.alive(part.ordinals)
        assert np.all(np.diff(part.ordinals) > 0)
        rows = map(tuple, part.rows[alive].tolist())
        found |= dict(zip(part.ordinals[alive].tolist(), rows, strict=True))
    return found


def expected(*ordinals: int) -> dict[int, tuple[float, ...]]:
    return {ordinal: tuple(ROWS[ordinal].tolist()) for ordinal in ordinals}


def test_a_head_whose_rows_are_replaced_for_ever_stays_small() -> None:
    memory, names, written = Memory(DIMENSION), 100, len(ROWS)
    for first in range(1, written - names, names):
        dead = range(max(1, first - names), first)
        memory.apply(
            [*added(*range(first, first + names)), *(Killed(ordinal, {}) for ordinal in dead)]
        )
        memory.forget_dead()
        assert len(memory.head) <= BLOCK_ROWS + 2 * names
    with memory.view() as view:
        assert live_rows(view) == expected(*range(first, first + names))


def test_the_live_rows_of_blocks_that_are_let_go_are_kept_in_order() -> None:
    memory = filled(3 * BLOCK_ROWS + 10)
    kept = {*range(1, 3 * BLOCK_ROWS, 7), *range(3 * BLOCK_ROWS + 1, 3 * BLOCK_ROWS + 10, 2)}
    memory.apply([Killed(each, {}) for each in range(1, 3 * BLOCK_ROWS + 11) if each not in kept])
    memory.forget_dead()
    with memory.view() as view:
        assert live_rows(view) == expected(*kept)
        assert len(view.head) == 2  # the three that were full in one, and the one being filled
        order = np.concatenate([part.ordinals for part in view.head])
        assert np.all(np.diff(order) > 0)


def test_a_block_whose_rows_mostly_live_and_the_one_being_filled_stay() -> None:
    memory = filled(BLOCK_ROWS + 50)
    memory.apply([Killed(each, {}) for each in range(1, BLOCK_ROWS // 2)])
    memory.apply([Killed(BLOCK_ROWS + each, {}) for each in range(1, 51)])
    memory.forget_dead()
    assert len(memory.head) == BLOCK_ROWS + 50


def test_a_reader_keeps_its_moment_and_new_rows_go_on() -> None:
    memory = filled(BLOCK_ROWS)
    with memory.view() as before:
        memory.apply([Killed(each, {}) for each in range(11, BLOCK_ROWS + 1)])
        memory.forget_dead()
        assert len(memory.head) == 10
        memory.apply(added(BLOCK_ROWS + 1))
        assert live_rows(before) == expected(*range(1, BLOCK_ROWS + 1))
    with memory.view() as after:
        assert live_rows(after) == expected(*range(1, 11), BLOCK_ROWS + 1)
        assert len(after.head) == 1  # the new row went where there was room


@pytest.mark.parametrize("seed", range(4))
def test_whatever_comes_and_goes_the_head_holds_what_lives(seed: int) -> None:
    generator = np.random.default_rng(seed)
    memory, alive, upto = Memory(DIMENSION), set[int](), 1
    while upto < len(ROWS) - 3_000:
        count = int(generator.integers(1, 3_000))
        memory.apply(added(*range(upto, upto + count)))
        alive |= set(range(upto, upto + count))
        upto += count
        share = generator.random() * 0.9
        dead = [each for each in sorted(alive) if generator.random() < share]
        memory.apply([Killed(each, {}) for each in dead])
        alive -= set(dead)
        if generator.random() < 0.1:
            covered = int(generator.integers(1, upto))
            memory.adopt([], covered_upto=covered)
            alive = {each for each in alive if each > covered}
        memory.forget_dead()
        with memory.view() as view:
            assert set(live_rows(view)) == alive
    with memory.view() as view:
        assert live_rows(view) == expected(*alive)
