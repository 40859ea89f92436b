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

import numpy as np

from search_service.segments.building.planning import LEAST_GRAPH_VECTORS, Action, BuildPlan
from search_service.segments.errors import SegmentDamaged
from search_service.segments.segment import Segment
from tests.unit.search_service.segments.support import (
    IDENTITY,
    SmallStore,
    assemble,
    unit_vectors,
)

QUERIES = unit_vectors(20, seed=99)
PAGE_BYTES = 4_096
# With a graph, and with what a large segment has that waits for one.
PLANS = (BuildPlan(Action.BUILD, 0, 1_500), BuildPlan(Action.SEAL, 0, LEAST_GRAPH_VECTORS))


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
        if segment.has_graph:
            segment.candidates(QUERIES, 10, 64)
        else:
            segment.nearest_exactly(np.arange(1_000), QUERIES, 10, 100)
        segment.check_rows()
        segment.close()
    except SegmentDamaged:
        return True
    return False


def made(directory: Path, plan: BuildPlan) -> tuple[Path, Path]:
    """Make a segment, and another model's."""
    paths = []
    for seed in (0, 7):
        store = SmallStore(directory / f"{plan.action}-{seed}")
        store.add(unit_vectors(plan.upto_ordinal, seed=seed))
        paths.append(assemble(store, plan))
        store.close()
    return paths[0], paths[1]


def main(directory: Path, count: int) -> None:
    pairs = [made(directory, plan) for plan in PLANS]
    files = [
        (intact, foreign, path.name)
        for intact, foreign in pairs
        for path in sorted(intact.iterdir())
        if path.stat().st_size
    ]
    assert not any(is_noticed(intact) for intact, _ in pairs), "an intact segment was refused"
    rng = random.Random(1)
    passed, damaged = [], 0
    while damaged < count:
        intact, foreign, name = files[damaged % len(files)]
        damage = DAMAGES[damaged // len(files) % len(DAMAGES)]
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
    names = sorted({name for _, _, name in files})
    print(json.dumps({"damaged": damaged, "passed": passed, "files": names}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
