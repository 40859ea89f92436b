"""Replicas that die, lag or come back without what the log has no more."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from lookalike.wire.errors import LookalikeError, Reason
from search_service.cluster.catalog import ClusterCatalog
from search_service.cluster.connection import connect
from search_service.cluster.log import CollectionLog
from search_service.cluster.status import PartitionStatus, ReplicaState
from search_service.domain.items import Fields
from search_service.domain.mutations import Upsert
from search_service.domain.queries import QueryRequest
from search_service.domain.reading import Reading
from tests.integration.cluster.conftest import Cluster, spec_of, units
from tests.integration.cluster.local import OPTIONS, cluster_settings

pytestmark = pytest.mark.timeout(120)

ROWS = units(120, seed=3)


def _put(cluster: Cluster, name: str, numbers: range, collection: str = "c") -> int:
    shard = cluster.catalog.find(collection).shard
    changes = [Upsert(f"{name}-{n}", ROWS[n % len(ROWS)]) for n in numbers]
    outcomes = shard.submit(changes).result(30)
    assert all(outcome.error is None for outcome in outcomes)
    return max(outcome.position for outcome in outcomes)


def _until(cluster: Cluster, collection: str, holds: Callable[[PartitionStatus], bool]) -> None:
    deadline_s = time.monotonic() + 30
    while not all(holds(partition) for partition in cluster.status(collection)):
        assert time.monotonic() < deadline_s, cluster.status(collection)
        time.sleep(0.05)


def _caught_up(partition: PartitionStatus) -> bool:
    return all(
        replica.state is ReplicaState.SERVING and not replica.lag_entries
        for replica in partition.replicas
    )


def _log_of(cluster: Cluster) -> CollectionLog:
    return CollectionLog(connect(cluster.valkey.url), "lookalike-cluster", spec_of("c").uid, 2)


@pytest.fixture(scope="module", autouse=True)
def collection(cluster: Cluster) -> None:
    cluster.create("c", partitions=2)


def test_a_dead_replica_is_passed_over_and_catches_up(cluster: Cluster) -> None:
    shard = cluster.catalog.find("c").shard
    replica = cluster.replicas("c")[0][0]
    replica.kill()

    _put(cluster, "while-dead", range(60))
    for row in ROWS[:10]:
        (outcome,) = shard.query(QueryRequest(row[None], limit=1, exact=True)).result(60)
        assert outcome.hits[0].score == pytest.approx(1.0, abs=1e-6)

    replica.start()
    _until(cluster, "c", _caught_up)
    assert shard.count(None) == 60


def test_a_silent_replica_costs_one_wait(cluster: Cluster) -> None:
    shard = cluster.catalog.find("c").shard
    silent = [replicas[1] for replicas in cluster.replicas("c")]
    for replica in silent:
        replica.silent.set()
    try:
        for row in ROWS[:20]:
            assert shard.query(QueryRequest(row[None], limit=1)).result(60)[0].hits
        asked = sum(replica.calls for replica in silent)
        for row in ROWS[:20]:
            assert shard.query(QueryRequest(row[None], limit=1)).result(60)[0].hits
        # It is asked now and then, not each time that its turn comes.
        assert sum(replica.calls for replica in silent) - asked < 20
    finally:
        for replica in silent:
            replica.silent.clear()


def test_a_partition_without_replicas_is_an_error_or_is_left_out(cluster: Cluster) -> None:
    shard = cluster.catalog.find("c").shard
    whole = shard.count(None)
    gone = cluster.replicas("c")[1]
    for replica in gone:
        replica.kill()
    try:
        deadline_s = time.monotonic() + 0.5
        request = QueryRequest(ROWS[:2], limit=100, deadline_s=deadline_s)
        with pytest.raises(LookalikeError) as failed:
            shard.query(request).result(60)
        # The caller hears of it before it has given up.
        assert time.monotonic() < deadline_s
        assert failed.value.reason is Reason.PARTITION_UNAVAILABLE
        assert failed.value.retryable

        # Whoever takes an answer without it does not wait for it until the deadline.
        outcomes = shard.query(_partial()).result(60)
        assert [outcome.missing_partitions for outcome in outcomes] == [(1,), (1,)]
        assert 0 < len(outcomes[0].hits) < whole
    finally:
        for replica in gone:
            replica.start()
    _until(cluster, "c", _caught_up)


def test_a_partition_that_is_hung_is_left_out(cluster: Cluster) -> None:
    shard = cluster.catalog.find("c").shard
    hung = cluster.replicas("c")[0]
    for replica in hung:
        replica.silent.set()
    try:
        for _ in range(10):  # the first waits as long as settings say, the others do not
            outcomes = shard.query(_partial()).result(60)
            assert [outcome.missing_partitions for outcome in outcomes] == [(0,), (0,)]
    finally:
        for replica in hung:
            replica.silent.clear()
    _until(cluster, "c", _caught_up)
    # It is found again by itself.
    deadline_s = time.monotonic() + 30
    while shard.query(_partial()).result(60)[0].missing_partitions:
        assert time.monotonic() < deadline_s


def _partial() -> QueryRequest:
    return QueryRequest(ROWS[:2], limit=100, deadline_s=time.monotonic() + 60, allow_partial=True)


def test_what_is_acknowledged_is_read_with_its_position(cluster: Cluster) -> None:
    settings = cluster_settings(cluster.valkey.port, cluster.root)
    other = ClusterCatalog(cluster.root / "other", settings, OPTIONS, cluster.placing)
    other.open()
    try:
        shard = other.find("c").shard
        for n in range(20):
            position = _put(cluster, "seen", range(n, n + 1))
            request = QueryRequest(ROWS[n : n + 1], limit=50, exact=True, read_position=position)
            (outcome,) = shard.query(request).result(60)
            assert f"seen-{n}" in {hit.id for hit in outcome.hits}
            # A position of a moment to come says nothing of what is written until then.
            request = replace(request, read_position=position + 1_000_000)
            assert shard.query(request).result(60)[0].hits
            (item,) = shard.get([f"seen-{n}"], Fields(), Reading(position))
            assert item is not None
    finally:
        other.close()


def test_versions_are_given_out_once_by_all_fronts(cluster: Cluster) -> None:
    shard = cluster.catalog.find("c").shard
    before = shard.reserve_versions(10)
    position = _put(cluster, "later", range(1))

    assert len(before) == 10
    assert position > before[-1]
    assert shard.reserve_versions(1).start > position


def test_a_replica_that_lost_its_disk_takes_a_snapshot_and_the_rest_of_the_log(
    cluster: Cluster,
) -> None:
    shard = cluster.catalog.find("c").shard
    replica = cluster.replicas("c")[0][1]
    replica.kill()
    _put(cluster, "before-the-cut", range(40))
    log = _log_of(cluster)
    log.ask_for_snapshot(0, log.state(0).last)
    _until(cluster, "c", lambda part: part.number != 0 or part.log_entries == 0)
    kept = cluster.status("c")[0]
    assert kept.snapshot_position == kept.log_position
    _put(cluster, "after-the-cut", range(40))

    replica.start("another-node")
    _until(cluster, "c", _caught_up)

    first, second = cluster.status("c")[0].replicas
    assert first.items == second.items
    assert second.node == "another-node"
    assert shard.get(["before-the-cut-1", "after-the-cut-1"], Fields()).count(None) == 0


def test_a_log_that_lost_its_end_gives_no_position_out_twice(cluster: Cluster) -> None:
    _put(cluster, "kept", range(20))
    _until(cluster, "c", _caught_up)
    saved = cluster.root / "saved"
    shutil.copytree(cluster.root / "appendonlydir", saved)
    dead = [replicas[0] for replicas in cluster.replicas("c")]
    for replica in dead:
        replica.kill()
    lost = _put(cluster, "lost-from-the-log", range(20))

    cluster.valkey.kill()
    shutil.rmtree(cluster.root / "appendonlydir")
    saved.rename(cluster.root / "appendonlydir")
    cluster.valkey.start()
    later = _put_when_back(cluster)
    assert later > lost

    # The others are behind what the log has no more: they fetch it.
    for replica in dead:
        replica.start()
    _until(cluster, "c", _caught_up)
    for part in cluster.status("c"):
        assert len({replica.items for replica in part.replicas}) == 1
    shard = cluster.catalog.find("c").shard
    assert None not in shard.get([f"lost-from-the-log-{n}" for n in range(20)], Fields())


def _put_when_back(cluster: Cluster) -> int:
    deadline_s = time.monotonic() + 20
    while True:
        shard = cluster.catalog.find("c").shard
        changes = [Upsert(f"after-the-loss-{n}", ROWS[n]) for n in range(20)]
        try:
            outcomes = shard.submit(changes).result(30)
        except LookalikeError:
            outcomes = []
        if outcomes and all(outcome.error is None for outcome in outcomes):
            return min(outcome.position for outcome in outcomes)
        assert time.monotonic() < deadline_s
        time.sleep(0.1)


def test_names_and_aliases_are_the_same_at_every_front(cluster: Cluster) -> None:
    settings = cluster_settings(cluster.valkey.port, cluster.root)
    other = ClusterCatalog(cluster.root / "names", settings, OPTIONS, cluster.placing)
    other.open()
    try:
        cluster.create("d", partitions=1, replicas=1)
        assert other.find("d").uid == spec_of("d").uid
        other.set_alias("now", "d")
        _eventually(lambda: cluster.catalog.aliases() == [("now", "d")])
        cluster.catalog.delete("d")
        _eventually(lambda: [each.name for each in other.collections()] == ["c"])
        assert other.aliases() == []
    finally:
        other.close()


def _eventually(holds: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline_s
        time.sleep(0.05)
