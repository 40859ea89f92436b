"""Long runs of the store against a failing disk, a full disk, and a model of itself."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from lookalike.wire.errors import Exhausted, Reason
from search_service.domain.items import Fields
from search_service.domain.mutations import Delete, MutationStatus, Upsert
from tests.unit.search_service.shard.faulty_disk import faulty_disk
from tests.unit.search_service.shard.kit import SMALL, create, fill, random_units, reopen, search
from tests.unit.search_service.shard.test_shard_stateful import AgainstADictionary

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(3_600)]

VECTORS = random_units(1_000, 8)
DISK_BYTES = 24 << 20


class LongAgainstADictionary(AgainstADictionary):
    """The same rules, for much longer."""


LongAgainstADictionary.TestCase.settings = settings(
    max_examples=150,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestLongAgainstADictionary = LongAgainstADictionary.TestCase


@pytest.mark.parametrize("after", range(0, 60, 3))
def test_an_fsync_error_at_any_commit_loses_nothing_acknowledged(
    tmp_path: Path, after: int
) -> None:
    stopped = threading.Event()
    done: list[str] = []
    with faulty_disk() as disk:
        options = replace(SMALL, vfs=disk.name, checkpoint_pages=10)
        shard = create(tmp_path, options=options, on_fatal=stopped.set)
        for number in range(200):
            disk.fail_syncs = number >= after
            if shard.submit([Upsert(f"i{number}", VECTORS[number])]).exception(10) is None:
                done.append(f"i{number}")
        assert stopped.wait(1)
        assert len(done) == after
        shard.close()
        disk.fail_syncs = False
        shard = reopen(tmp_path, options)
        assert None not in shard.get(done, Fields())
        shard.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    mount = tmp_path / "disk"
    mount.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(mount)],
        capture_output=True,
        check=False,
    )
    if made.returncode:
        pytest.skip("a tmpfs cannot be mounted here: it takes root")
    yield mount
    subprocess.run(["umount", str(mount)], check=True)


def test_a_small_disk_that_fills_up(small_disk: Path) -> None:
    shard = create(small_disk, options=replace(SMALL, ballast_bytes=4 << 20, checkpoint_pages=64))
    fill(shard, VECTORS[:500])
    stored = 500
    while True:
        future = shard.submit([Upsert(f"big-{stored}", VECTORS[1], facts=os.urandom(50_000))])
        error = future.exception(30)
        if error is not None:
            assert isinstance(error, Exhausted)
            assert error.reason is Reason.DISK_FULL
            break
        stored += 1
    assert search(shard, VECTORS[7], limit=1)[0].id == "item-7"
    for row in range(100, 200):
        outcome = shard.submit([Delete(f"item-{row}")]).result(30)[0]
        assert outcome.status is MutationStatus.APPLIED
    assert shard.count(None) == stored - 100
    subprocess.run(["mount", "-o", f"remount,size={3 * DISK_BYTES}", str(small_disk)], check=True)
    waiting = threading.Event()
    for _ in range(100):
        if shard.submit([Upsert("back", VECTORS[900])]).exception(30) is None:
            break
        waiting.wait(0.1)
    shard.close()
    shard = reopen(small_disk)
    assert shard.count(None) == stored - 100 + 1
    assert search(shard, VECTORS[900], limit=1)[0].id == "back"
    shard.close()
