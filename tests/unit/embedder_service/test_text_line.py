"""The queue before a text tower, with a tower that a test can hold and break."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Sequence

import numpy as np
import pytest

from embedder_service.text_line import TextLine
from lookalike.wire.errors import (
    DeadlineExceeded,
    Exhausted,
    InvalidField,
    LookalikeError,
    Unavailable,
)
from lookalike.wire.vectors import F32


class FakeTower:
    """Turns a text into the vector (its length, 1); can be held or broken."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.free = threading.Event()
        self.free.set()
        self.break_with: Exception | None = None
        self.scale = 1.0

    def infer(self, texts: Sequence[str]) -> F32:
        self.free.wait(60)
        if self.break_with is not None:
            raise self.break_with
        self.batches.append(list(texts))
        return np.array([[len(text), 1] for text in texts], dtype=np.float32) * self.scale


class Seen:
    """Counts what was embedded."""

    def __init__(self) -> None:
        self.texts = 0

    def texts_embedded(self, texts: int, seconds: float) -> None:
        self.texts += texts


@pytest.fixture
def tower() -> FakeTower:
    return FakeTower()


@pytest.fixture
def seen() -> Seen:
    return Seen()


@pytest.fixture
async def line(tower: FakeTower, seen: Seen) -> AsyncIterator[TextLine]:
    made = TextLine(lambda: tower, 16, seen)
    await made.start()
    tower.batches.clear()
    yield made
    tower.free.set()
    await made.close()


def unit(text: str) -> list[float]:
    vector = np.array([len(text), 1.0])
    return [float(part) for part in vector / np.linalg.norm(vector)]


async def test_texts_that_wait_go_together_and_keep_their_order(
    line: TextLine, tower: FakeTower, seen: Seen
) -> None:
    tower.free.clear()
    first = asyncio.create_task(line.embed(["first"], None))
    await asyncio.sleep(0.02)
    calls = [asyncio.create_task(line.embed(["ab" * n, "c"], None)) for n in range(1, 5)]
    await asyncio.sleep(0.02)
    tower.free.set()
    for n, call in enumerate(calls, 1):
        one, two = await call
        assert one.tolist() == pytest.approx(unit("ab" * n))
        assert two.tolist() == pytest.approx(unit("c"))
    await first
    assert [len(batch) for batch in tower.batches] == [1, 8]
    assert seen.texts == 9


async def test_what_does_not_fit_is_refused_at_once_and_the_rest_is_answered(
    line: TextLine, tower: FakeTower
) -> None:
    tower.free.clear()
    held = asyncio.create_task(line.embed(["a"] * 16, None))
    await asyncio.sleep(0.02)
    with pytest.raises(Exhausted):
        await line.embed(["b"], None)
    tower.free.set()
    assert len(await held) == 16
    assert len(await line.embed(["b"] * 256, None)) == 256  # more than the bound, alone


async def test_a_deadline_ends_the_wait_and_the_work(line: TextLine, tower: FakeTower) -> None:
    tower.free.clear()
    held = asyncio.create_task(line.embed(["held"], None))
    await asyncio.sleep(0.02)
    with pytest.raises(DeadlineExceeded):
        await line.embed(["late"], time.monotonic() + 0.05)
    with pytest.raises(DeadlineExceeded):
        await line.embed(["past"], time.monotonic() - 1)
    tower.free.set()
    await held
    await line.embed(["next"], None)
    assert tower.batches == [["held"], ["next"]]


@pytest.mark.parametrize("blank", [False, True])
async def test_a_batch_that_fails_is_told_and_the_next_one_works(
    line: TextLine, tower: FakeTower, blank: bool
) -> None:
    if blank:
        tower.scale = float("nan")
    else:
        tower.break_with = ValueError("broken")
    with pytest.raises(Unavailable):
        await line.embed(["a", "b"], None)
    tower.break_with, tower.scale = None, 1.0
    assert len(await line.embed(["a"], None)) == 1


async def test_closing_resolves_what_waits(line: TextLine, tower: FakeTower) -> None:
    tower.free.clear()
    calls = [asyncio.create_task(line.embed([f"text {n}"], None)) for n in range(12)]
    await asyncio.sleep(0.02)
    await line.close()
    tower.free.set()
    ended = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(each) for each in ended] == [Unavailable] * 12
    with pytest.raises(Unavailable):
        await line.embed(["after"], None)


@pytest.mark.parametrize(
    ("texts", "field"),
    [
        ([], "texts"),
        (["a"] * 257, "texts"),
        (["a", " \n"], "texts[1]"),
        (["a", "b", "c" * 1001], "texts[2]"),
    ],
)
async def test_texts_keep_limits(line: TextLine, texts: list[str], field: str) -> None:
    with pytest.raises(InvalidField) as caught:
        await line.embed(texts, None)
    error: LookalikeError = caught.value
    assert error.field == field
