"""Damages segment files in every way and says which damage was not noticed.

Run as `python -m tests.unit.search_service.segments.damage_run DIRECTORY COUNT`;
prints one line of JSON. A crash shows as the process's exit status.
"""

from __future__ import annotations

import json
import random
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from search_service.segments.errors import SegmentDamaged
from search_service.segments.planning import Action, Plan
from search_service.segments.segment import Segment
from tests.unit.search_service.segments.support import (
    IDENTITY,
    SmallStore,
    assemble,
    unit_vectors,
)

QUERIES = unit_vectors(20, seed=99)
PAGE_BYTES = 4_096


def flip_bit(data: bytearray, rng: random.Random, _: bytes) -> bytearray:
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return data


def zero_page(data: bytearray, rng: random.Random, _: bytes) -> bytearray:
    start = rng.randrange(0, len(data), PAGE_BYTES)
    data[start : start + PAGE_BYTES] = bytes(len(data[start : start + PAGE_BYTES]))
    return data


def truncate(data: bytearray, rng: random.Random, _: bytes) -> bytearray:
    return data[: rng.randrange(len(data))]


def lengthen(data: bytearray, rng: random.Random, _: bytes) -> bytearray:
    return data + rng.randbytes(rng.randrange(1, 100))


def exchange(_: bytearray, __: random.Random, other: bytes) -> bytearray:
    return bytearray(other)


DAMAGES: list[Callable[[bytearray, random.Random, bytes], bytearray]] = [
    flip_bit,
    zero_page,
    truncate,
    lengthen,
    exchange,
]


def is_noticed(path: Path) -> bool:
    """Open, search and check as a shard does."""
    try:
        segment = Segment.open(path, IDENTITY)
        segment.candidates(QUERIES, 10, 64)
        segment.check_rows()
        segment.close()
    except SegmentDamaged:
        return True
    return False


def main(directory: Path, count: int) -> None:
    store = SmallStore(directory / "one")
    store.add(unit_vectors(1_500))
    intact = assemble(store, Plan(Action.BUILD, 0, 1_500))
    foreign_store = SmallStore(directory / "two")
    foreign_store.add(unit_vectors(1_500, seed=7))
    foreign = assemble(foreign_store, Plan(Action.BUILD, 0, 1_500))
    names = sorted(path.name for path in intact.iterdir() if path.stat().st_size)
    assert not is_noticed(intact), "the intact segment was refused"
    rng = random.Random(1)
    passed, damaged = [], 0
    while damaged < count:
        name = names[damaged % len(names)]
        damage = DAMAGES[damaged // len(names) % len(DAMAGES)]
        original = (intact / name).read_bytes()
        data = bytes(damage(bytearray(original), rng, (foreign / name).read_bytes()))
        damaged += 1
        if data == original:  # a page of zeros, or a file that both have: nothing is damaged
            data = bytes(flip_bit(bytearray(original), rng, b""))
        copy = directory / "copy"
        shutil.copytree(intact, copy)
        (copy / name).write_bytes(data)
        if not is_noticed(copy):
            passed.append(f"{damage.__name__} {name}")
        shutil.rmtree(copy)
    print(json.dumps({"damaged": damaged, "passed": passed, "files": names}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
