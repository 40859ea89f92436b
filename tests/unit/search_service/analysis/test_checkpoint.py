"""What a killed analysis had found is not found again."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from search_service.analysis.checkpoint import MOST_BYTES, MOST_KEPT, Arrays, Checkpoint
from search_service.domain.arrays import I64


class Work:
    """Doubles numbers, and counts how often it is asked to."""

    def __init__(self) -> None:
        self.asked = 0

    def through(self, checkpoint: Checkpoint, numbers: I64) -> Arrays:
        def find() -> Arrays:
            self.asked += 1
            return 2 * numbers, np.array(len(numbers))

        return checkpoint.done((numbers,), find)


def parts() -> list[I64]:
    return [np.arange(first, first + 10) for first in range(0, 50, 10)]


def run(directory: Path, key: str, count: int, *, end: bool = False) -> Work:
    """Do `count` parts, and stop as a killed process does, or end."""
    work = Work()
    with closing(Checkpoint(directory, key)) as checkpoint:
        for part in parts()[:count]:
            doubled, size = work.through(checkpoint, part)
            assert doubled.tolist() == (2 * part).tolist()
            assert size == 10
        if end:
            checkpoint.end()
    return work


def test_what_was_found_is_not_found_again(tmp_path: Path) -> None:
    assert run(tmp_path, "a", 3).asked == 3
    assert run(tmp_path, "a", 5).asked == 2
    assert run(tmp_path, "other", 5).asked == 5


def test_nothing_is_left_of_a_run_that_ended(tmp_path: Path) -> None:
    run(tmp_path, "a", 5, end=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("harm", ["cut", "flip", "grow"])
def test_damaged_records_are_found_anew(tmp_path: Path, harm: str) -> None:
    run(tmp_path, "a", 5)
    (path,) = tmp_path.iterdir()
    data = bytearray(path.read_bytes())
    if harm == "cut":
        del data[-5:]
    elif harm == "flip":
        data[-5] ^= 1
    else:
        data += b"\xff" * 40
    path.write_bytes(data)
    assert run(tmp_path, "a", 5).asked == (0 if harm == "grow" else 1)
    assert run(tmp_path, "a", 5).asked == 0


def test_of_two_runs_at_a_time_one_keeps(tmp_path: Path) -> None:
    first = Checkpoint(tmp_path, "a")
    work = Work()
    work.through(first, np.arange(5))
    second = Checkpoint(tmp_path, "a")
    work.through(second, np.arange(5))
    assert work.asked == 2
    second.end()
    assert len(list(tmp_path.iterdir())) == 1
    first.end()


def test_the_latest_few_are_kept_and_no_more_than_fits(tmp_path: Path) -> None:
    for number in range(MOST_KEPT + 3):
        run(tmp_path, f"run-{number}", 1)
        os.utime(tmp_path / f"run-{number}.parts", (number, number))
    names = {path.name for path in tmp_path.iterdir()}
    assert len(names) == MOST_KEPT
    assert f"run-{MOST_KEPT + 2}.parts" in names
    zeros = np.zeros(MOST_BYTES // 2 - 8_192, np.uint8)
    with closing(Checkpoint(tmp_path, "large")) as checkpoint:
        for number in range(3):
            checkpoint.done((np.array(number),), lambda: (zeros,))
    assert (tmp_path / "large.parts").stat().st_size <= MOST_BYTES
