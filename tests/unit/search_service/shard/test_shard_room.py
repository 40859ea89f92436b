"""What stays on the disk of items that were deleted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from lookalike.wire.vectors import F32, encode
from search_service.domain.mutations import Delete, UpdateMetadata, Upsert
from search_service.shard.options import ShardOptions
from search_service.shard.shard import Shard
from tests.unit.search_service.shard.kit import build, create, fill, make_spec, reopen, wait_until

DIMENSION = 16
COUNT = 6_000
HASTY = ShardOptions(
    head_limit=2_000,
    idle_build_s=0.5,
    idle_checkpoint_s=0.2,
    forget_deletions_s=0.5,
    filters_save_s=0.2,
    erase_after_s=1.0,
)


@pytest.fixture(scope="module")
def vectors() -> F32:
    rows = np.random.default_rng(3).normal(size=(COUNT, DIMENSION)).astype(np.float32)
    unit: F32 = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit


def disk_bytes(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())


def delete(shard: Shard, numbers: Sequence[int]) -> None:
    for start in range(0, len(numbers), 1_000):
        some = numbers[start : start + 1_000]
        outcomes = shard.submit([Delete(f"item-{number}") for number in some]).result(60)
        assert all(outcome.error is None for outcome in outcomes)


def found_in_files(directory: Path, content: bytes) -> list[str]:
    """Return the names of files that hold `content`."""
    paths = [path for path in directory.rglob("*") if path.is_file()]
    return [path.name for path in paths if path.exists() and content in path.read_bytes()]


def is_in_no_file(directory: Path, content: bytes) -> bool:
    return not found_in_files(directory, content)


def test_an_empty_collection_takes_little(tmp_path: Path) -> None:
    shard = create(tmp_path)
    assert disk_bytes(tmp_path) < 1 << 20
    shard.close()


@pytest.mark.parametrize("left", [300, pytest.param(0, marks=pytest.mark.chaos)])
def test_the_disk_comes_back_when_most_or_all_is_deleted(
    tmp_path: Path, vectors: F32, left: int
) -> None:
    (tmp_path / "fresh").mkdir()
    (tmp_path / "used").mkdir()
    fresh = create(tmp_path / "fresh", make_spec(DIMENSION), HASTY)
    fill(fresh, vectors[:left])
    fresh.close()
    shard = create(tmp_path / "used", make_spec(DIMENSION), HASTY)
    fill(shard, vectors)
    build(shard)
    full = shard.stats().disk_bytes
    delete(shard, np.random.default_rng(4).permutation(COUNT)[left:].tolist())
    least = disk_bytes(tmp_path / "fresh") + (64 << 10)  # the index of an open log
    assert full > 1.3 * least
    wait_until(lambda: disk_bytes(tmp_path / "used") <= 1.3 * least)
    assert shard.count(None) == left
    shard.close()
    shard = reopen(tmp_path / "used", HASTY)
    assert shard.count(None) == left
    assert disk_bytes(tmp_path / "used") <= 1.3 * least
    shard.close()


def test_what_was_deleted_or_replaced_is_in_no_file_after_a_while(
    tmp_path: Path, vectors: F32
) -> None:
    shard = create(tmp_path, make_spec(DIMENSION), replace(HASTY, filters_save_items=1_000))
    fill(shard, vectors)
    secret = Upsert(
        "secret", vectors[0][::-1].copy(), {"name": "Grigori Samsa"}, facts=b"xyzzy-" * 9
    )
    shard.submit([secret]).result(60)
    shard.submit([UpdateMetadata("item-7", {"name": "Josefine K."})]).result(60)
    build(shard)
    wait_until(lambda: "filters.idx" in found_in_files(tmp_path, b"Samsa"))
    vector = encode(secret.vector)
    assert {"store.db", "rows-00000.f32"} <= set(found_in_files(tmp_path, vector))
    shard.submit([UpdateMetadata("item-7", {"name": "nobody"}), Delete("secret")]).result(60)
    for content in (vector, b"Samsa", b"xyzzy-xyzzy", b"Josefine"):
        wait_until(partial(is_in_no_file, tmp_path, content))
    assert shard.count(None) == COUNT
    shard.close()


def test_deletions_are_forgotten_where_no_queue_may_hold_what_is_older(
    tmp_path: Path, vectors: F32
) -> None:
    shard = create(tmp_path, make_spec(DIMENSION), HASTY)
    fill(shard, vectors[:10])
    shard.submit([Delete("item-3")]).result(60)
    shard.submit([Upsert("another", vectors[3])]).result(60)
    wait_until(lambda: not found_in_files(tmp_path, b"item-3"))
    shard.close()
