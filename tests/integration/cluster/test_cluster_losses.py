"""A Redis that comes back without its end, or without anything."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lookalike.wire.errors import LookalikeError, Reason, Unavailable
from search_service.catalog.shards import Shards
from search_service.cluster.catalog import ClusterCatalog
from search_service.cluster.connection import OtherRun, connect
from search_service.cluster.following import Following
from search_service.cluster.log import CollectionLog
from search_service.cluster.recovery import ReplicaDirectory
from search_service.cluster.status import PartitionStatus, ReplicaState
from search_service.cluster.storage import SnapshotStorage
from search_service.domain.items import Fields
from search_service.domain.mutations import Upsert
from tests.integration.cluster.conftest import Cluster, spec_of, units
from tests.integration.cluster.local import OPTIONS, cluster_settings

pytestmark = pytest.mark.timeout(120)

ROWS = units(40, seed=3)


def put(cluster: Cluster, name: str, count: int = 10) -> int:
    """Write items; return the greatest position. Redis may be coming back."""
    changes = [Upsert(f"{name}-{n}", ROWS[n]) for n in range(count)]
    deadline_s = time.monotonic() + 20
    while True:
        try:
            outcomes = cluster.catalog.find("c").shard.submit(changes).result(30)
        except LookalikeError:
            outcomes = []
        if outcomes and all(outcome.error is None for outcome in outcomes):
            return max(outcome.position for outcome in outcomes)
        assert time.monotonic() < deadline_s
        time.sleep(0.1)


def eventually(holds: Callable[[], bool]) -> None:
    """Wait until something holds; what is away meanwhile does not hold."""
    deadline_s = time.monotonic() + 30
    while True:
        try:
            if holds():
                return
        except LookalikeError:
            pass
        assert time.monotonic() < deadline_s
        time.sleep(0.05)


def caught_up(partition: PartitionStatus) -> bool:
    """Say whether all replicas serve the same items."""
    return len({each.items for each in partition.replicas}) == 1 and all(
        each.state is ReplicaState.SERVING and not each.lag_entries and not each.trouble
        for each in partition.replicas
    )


def has_all(cluster: Cluster, name: str, count: int = 10) -> bool:
    """Say whether every replica of the only partition has items, and no other state."""
    (part,) = cluster.status("c")
    ids = [f"{name}-{n}" for n in range(count)]
    found = [
        replica.call("read", "get", (ids, Fields()), 0, 5.0).result(60)
        for replica in cluster.replicas("c")[0]
    ]
    return caught_up(part) and all(None not in items for items in found)


def log_of(cluster: Cluster) -> CollectionLog:
    """Return the log of the collection."""
    return CollectionLog(connect(cluster.valkey.url), "lookalike-cluster", spec_of("c").uid, 1)


@pytest.fixture(scope="module", autouse=True)
def collection(cluster: Cluster) -> None:
    cluster.create("c", partitions=1)


@pytest.fixture
def loses(cluster: Cluster) -> Iterator[Callable[[], None]]:
    """What Redis holds now is what it has after `loses()`, killed and started again."""
    saved = cluster.root / "saved"
    shutil.copytree(cluster.root / "appendonlydir", saved)

    def lose() -> None:
        cluster.valkey.kill()
        shutil.rmtree(cluster.root / "appendonlydir")
        saved.rename(cluster.root / "appendonlydir")
        cluster.valkey.start()

    yield lose
    shutil.rmtree(saved, ignore_errors=True)


def test_another_run_of_the_server_has_to_be_met(cluster: Cluster) -> None:
    client = connect(cluster.valkey.url)
    log = CollectionLog(client, "other", "u", 2)
    log.start_at(7)
    assert log.reserve(1) == range(8, 9)
    client.set("other:{u}:run", "another")
    # It may have lost what came last: nothing is given out, and nothing is said of it.
    for refused in (lambda: log.append(0, [b"x"]), lambda: log.reserve(1), lambda: log.ends(1)):
        with pytest.raises(OtherRun) as met:
            refused()
    with pytest.raises(OtherRun):  # it was started once more since
        log.prepare("yet another", [0, 0])
    log.prepare(met.value.run, [3, 20])

    assert log.reserve(1).start > 1_000_000
    assert [log.ends(partition)[0] for partition in (0, 1)] == [7, 20]
    prepared = log.reserve(1).start
    log.prepare(met.value.run, [0, 0])  # another front, which met it too
    assert log.reserve(1).start == prepared + 1
    log.remove()


def test_copies_of_the_log_are_waited_for(cluster: Cluster) -> None:
    log = CollectionLog(connect(cluster.valkey.url), "other", "u", 1)
    with pytest.raises(OtherRun) as met:
        log.append(0, [b"x"], copies=1)
    log.prepare(met.value.run, [0])
    with pytest.raises(Unavailable) as failed:
        log.append(0, [b"x"], copies=1)  # there is no replica of this Redis

    assert failed.value.reason is Reason.QUEUE_UNAVAILABLE
    assert log.state(0).entries == 1
    log.remove()


def test_what_the_log_lost_reaches_those_who_were_away_before_anybody_writes(
    cluster: Cluster, loses: Callable[[], None]
) -> None:
    behind = cluster.replicas("c")[0][0]
    behind.kill()
    position = put(cluster, "lost")
    loses()
    behind.start()
    eventually(lambda: has_all(cluster, "lost"))
    assert put(cluster, "later") > position


def test_a_replica_that_is_away_with_what_was_lost_takes_the_line_of_the_others(
    cluster: Cluster, loses: Callable[[], None]
) -> None:
    first, second = cluster.replicas("c")[0]
    first.kill()
    position = put(cluster, "only-second-has")
    second.kill()
    loses()
    first.start()

    # No position and no version that was given out is given out again, though nobody tells.
    assert put(cluster, "without-second") > position + 1_000
    second.start()
    eventually(lambda: has_all(cluster, "without-second"))
    assert put(cluster, "by-both") > position
    eventually(lambda: has_all(cluster, "by-both"))


def test_a_redis_without_anything_gets_its_catalog_back(cluster: Cluster) -> None:
    before = cluster.catalog.find("c").shard.reserve_versions(10)
    cluster.catalog.set_alias("shown", "c")
    eventually(lambda: has_all(cluster, "by-both"))
    cluster.valkey.kill()
    shutil.rmtree(cluster.root / "appendonlydir")
    cluster.valkey.start()

    assert put(cluster, "after-all-was-lost") > before[-1]
    assert cluster.catalog.aliases() == [("shown", "c")]
    eventually(lambda: has_all(cluster, "by-both"))

    # As when all fronts are started anew as well.
    copies = list((cluster.root / "snapshots").glob("catalog-*/*.json"))
    assert len(copies) == 1
    cluster.valkey.kill()
    shutil.rmtree(cluster.root / "appendonlydir")
    cluster.valkey.start()
    settings = cluster_settings(cluster.valkey.port, cluster.root)
    other = ClusterCatalog(cluster.root / "other", settings, OPTIONS, cluster.placing)
    other.open()
    try:
        ids = [f"after-all-was-lost-{n}" for n in range(10)]
        assert None not in other.find("shown").shard.get(ids, Fields())
    finally:
        other.close()


def test_nothing_more_is_logged_for_replicas_that_are_behind(cluster: Cluster) -> None:
    settings = cluster_settings(cluster.valkey.port, cluster.root, cluster_write_timeout_s=0.2)
    other = ClusterCatalog(cluster.root / "hasty", settings, OPTIONS, cluster.placing)
    other.open()
    replicas = cluster.replicas("c")[0]
    for replica in replicas:
        replica.kill()
    try:
        refused = []
        for _ in range(3):
            with pytest.raises(Unavailable) as failed:
                other.find("c").shard.submit([Upsert("while-away", ROWS[0])]).result(30)
            refused.append((failed.value.reason, log_of(cluster).state(0).last))
    finally:
        for replica in replicas:
            replica.start()
    assert {reason for reason, _ in refused} == {Reason.PARTITION_UNAVAILABLE}
    assert len({last for _, last in refused}) == 1
    try:
        eventually(lambda: bool(other.find("c").shard.submit([Upsert("then", ROWS[0])]).result(30)))
    finally:
        other.close()


def test_a_replica_that_serves_notices_that_the_log_was_cut_under_it(
    cluster: Cluster, tmp_path: Path
) -> None:
    spec, log = spec_of("c"), log_of(cluster)
    directory, stop = ReplicaDirectory(tmp_path, spec, 0, 5), threading.Event()
    directory.acquire(stop)
    follower = Following(
        spec,
        0,
        shards=Shards(OPTIONS, lambda: None),
        log=log,
        storage=SnapshotStorage(f"file://{cluster.root}/snapshots", spec.uid),
        directory=directory,
        stop=stop,
    )

    def follow_until(position: int) -> None:
        thread = threading.Thread(target=follower.run)
        thread.start()
        eventually(
            lambda: (
                follower.state is ReplicaState.SERVING and follower.progress.position >= position
            )
        )
        stop.set()
        thread.join()
        stop.clear()

    try:
        follow_until(put(cluster, "seen"))
        position = put(cluster, "cut")
        log.ask_for_snapshot(0, position)
        eventually(lambda: log.state(0).entries == 0)
        follow_until(position)
    finally:
        assert follower.shard is not None
        follower.shard.close()
        directory.release()


def test_replicas_that_lack_what_nobody_has_go_on_when_they_are_told(cluster: Cluster) -> None:
    put(cluster, "before-the-end")
    eventually(lambda: has_all(cluster, "before-the-end"))
    first, second = cluster.replicas("c")[0]
    log = log_of(cluster)
    lost = log.reserve(1).start
    log.lift(0, lost)  # as when one that is gone had told of it
    eventually(lambda: [each.lacks for each in cluster.status("c")[0].replicas] == [lost] * 2)

    first.call("give_up", lost).result(60)
    eventually(lambda: caught_up(cluster.status("c")[0]))
    assert put(cluster, "gone-on") > lost
    eventually(lambda: has_all(cluster, "gone-on") and has_all(cluster, "before-the-end"))
    assert second.call("reached").result(60) > lost
