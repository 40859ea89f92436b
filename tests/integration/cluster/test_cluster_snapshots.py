"""Snapshots that are damaged or put there twice, and what is forgotten or deleted."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lookalike.wire.errors import Exhausted, LookalikeError, SnapshotInvalid
from search_service.cluster.connection import connect
from search_service.cluster.log import CollectionLog
from search_service.cluster.status import ReplicaState
from search_service.cluster.storage import SnapshotStorage
from search_service.domain.items import Fields
from search_service.domain.mutations import Delete, Upsert
from tests.integration.cluster.conftest import Cluster, spec_of, units

pytestmark = pytest.mark.timeout(120)

ROWS = units(20, seed=5)


@pytest.fixture(scope="module", autouse=True)
def collection(cluster: Cluster) -> None:
    cluster.create("c", partitions=1)


def _log(cluster: Cluster) -> CollectionLog:
    return CollectionLog(connect(cluster.valkey.url), "lookalike-cluster", spec_of("c").uid, 1)


def _eventually(holds: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline_s
        time.sleep(0.05)


def _serving(cluster: Cluster) -> bool:
    replicas = cluster.status("c")[0].replicas
    return all(each.state is ReplicaState.SERVING and not each.lag_entries for each in replicas)


def _put(cluster: Cluster, name: str) -> None:
    changes = [Upsert(f"{name}-{n}", row) for n, row in enumerate(ROWS)]
    outcomes = cluster.catalog.find("c").shard.submit(changes).result(30)
    assert all(outcome.error is None for outcome in outcomes)


def _cut(cluster: Cluster) -> Path:
    """Have the log cut at its end; return the newest archive."""
    log = _log(cluster)
    log.ask_for_snapshot(0, log.state(0).last)
    _eventually(lambda: log.state(0).entries == 0)
    return max((cluster.root / "snapshots" / spec_of("c").uid / "0").glob("*.tar"))


@pytest.mark.parametrize("damage", ["a bit", "all of it"])
def test_a_damaged_snapshot_is_replaced(cluster: Cluster, damage: str) -> None:
    _put(cluster, damage.replace(" ", "-"))
    archive = _cut(cluster)
    if damage == "all of it":
        archive.unlink()
    else:
        content = bytearray(archive.read_bytes())
        content[len(content) // 2] ^= 1
        archive.write_bytes(bytes(content))
    replica = cluster.replicas("c")[0][1]
    replica.kill()
    replica.start(f"node after {damage}")

    _eventually(lambda: _serving(cluster))
    first, second = cluster.status("c")[0].replicas
    assert first.items == second.items


def test_two_at_the_same_position_do_not_harm_each_other(cluster: Cluster, tmp_path: Path) -> None:
    storage = SnapshotStorage(f"file://{tmp_path}/kept", "u")
    source = cluster.root / "snapshots" / spec_of("c").uid
    shutil.copytree(source, tmp_path / "kept" / "u")
    newest = storage.newest(0)
    assert newest is not None
    (tmp_path / "fetched").mkdir()
    manifest = storage.fetch(0, newest, tmp_path / "fetched")

    one = storage.put(0, newest.position, tmp_path / "fetched", manifest)
    other = storage.put(0, newest.position, tmp_path / "fetched", manifest)

    assert one.archive != other.archive
    assert storage.newest(0) == other
    assert storage.is_whole(0, other)
    with pytest.raises(SnapshotInvalid):  # nothing is left of what counts no more
        (tmp_path / "again").mkdir()
        storage.fetch(0, one, tmp_path / "again")


def test_deletions_are_forgotten_only_by_those_who_have_read_so_far(cluster: Cluster) -> None:
    shard = cluster.catalog.find("c").shard
    versions = shard.reserve_versions(2)
    shard.submit([Delete("late", version=versions[1])]).result(30)
    shard.submit([Upsert("late", ROWS[0], version=versions[0])]).result(30)
    assert shard.prune_tombstones(shard.reserve_versions(1)[0]) >= 1

    # What is applied again after a restart must not bring it back.
    for replica in cluster.replicas("c")[0]:
        replica.kill()
        replica.start()
    _eventually(lambda: _serving(cluster))
    assert shard.get(["late"], Fields()) == [None]


def test_a_log_that_fills_its_server_is_cut(cluster: Cluster) -> None:
    shard, client = cluster.catalog.find("c").shard, connect(cluster.valkey.url)
    rows = units(2_000, seed=6)
    written = [Upsert(f"many-{n}", row) for n, row in enumerate(rows)]
    shard.submit(written[:1_900]).result(30)
    client.config_set("maxmemory", int(client.info("memory")["used_memory"]) - 100_000)
    try:
        with pytest.raises(Exhausted):
            shard.submit(written[1_900:]).result(30)
        _eventually(lambda: _log(cluster).state(0).entries == 0)
        outcomes = shard.submit(written[1_900:]).result(30)
        assert all(outcome.error is None for outcome in outcomes)
    finally:
        client.config_set("maxmemory", 0)


def test_counters_of_stores_are_told(cluster: Cluster) -> None:
    shard = cluster.catalog.find("c").shard
    _put(cluster, "counted")

    counted = [shard.stats().commits for _ in range(4)]
    assert counted[0] > 0
    assert counted == sorted(counted)


def test_a_collection_that_does_not_answer_can_be_deleted(cluster: Cluster) -> None:
    for replica in cluster.replicas("c")[0]:
        replica.kill()

    assert cluster.catalog.delete("c") == 0
    with pytest.raises(LookalikeError):
        cluster.catalog.find("c")
    assert not any((cluster.root / "snapshots" / spec_of("c").uid).rglob("*.tar"))
