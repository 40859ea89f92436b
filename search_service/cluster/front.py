"""What a front has of each collection: its partitions, its place in the log, its status."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Protocol

from lookalike.wire.errors import Exhausted, Unavailable
from search_service.cluster.appending import Appender, WriteOptions
from search_service.cluster.connection import log_errors
from search_service.cluster.fanout import NO_ANSWER, Partition, ReplicaHandle
from search_service.cluster.first_tries import Overdue
from search_service.cluster.log import CollectionLog, LogState
from search_service.cluster.loops import LoopThread
from search_service.cluster.losses import Losses
from search_service.cluster.partitioned import PartitionedShard
from search_service.cluster.settings import ClusterSettings
from search_service.cluster.status import PartitionStatus, ReplicaState, ReplicaStatus
from search_service.cluster.storage import SnapshotStorage
from search_service.domain.collection import CollectionSpec

if TYPE_CHECKING:
    from redis import Redis

_log = logging.getLogger(__name__)

_APPEND_THREADS = 8
# How exactly a silent replica is noticed: a tenth of the least time that makes sense.
_SWEEP_EVERY_S = 0.02
# Of making or finding the replicas of one collection, which one front does at a time.
_PLACING_LASTS_S, _PLACING_MORE_S = 60.0, 15.0
_STATUS_S = 1.0
# A process that imports the service and compiles its loops: 5 s, more where many start on
# few cores.
_SERVING_WITHIN_S = 90.0
_LOOK_AGAIN_S = 0.05
# Where a partition has no replica to say how far it is, which is waited for.
_LOOK_AT_RUN_EVERY_S = 15.0
_LOOK_FOR_LOSSES_EVERY_S = 15.0


class Placing(Protocol):
    """What finds and makes replicas."""

    def connect(self) -> None:
        """Join the cluster."""

    def close(self) -> None:
        """Leave it."""

    def place(self, spec: CollectionSpec, *, wait: bool) -> Sequence[Sequence[ReplicaHandle]]:
        """Return the replicas of each partition."""

    def remove(self, spec: CollectionSpec) -> None:
        """End the replicas of a collection."""


class Front:
    """Opens, describes and removes collections of a cluster; methods block."""

    def __init__(self, settings: ClusterSettings, client: Redis, placing: Placing) -> None:
        self._settings = settings
        self._client = client
        self._placing = placing
        self._loop = LoopThread("fan-out")
        self._overdue = Overdue(settings.cluster_retry_ms / 1_000)
        self._loop.every(_SWEEP_EVERY_S, self._overdue.sweep)
        self._pool = ThreadPoolExecutor(_APPEND_THREADS, thread_name_prefix="append")
        self._partitions: dict[str, list[Partition]] = {}
        self._opened: dict[str, PartitionedShard] = {}
        self._appenders: dict[str, Appender] = {}
        self._run, self._look_after_s = "", 0.0
        self._losses, self._losses_after_s = Losses(), 0.0

    def connect(self) -> None:
        """Join the cluster."""
        self._placing.connect()

    def open(
        self, spec: CollectionSpec, save: Callable[[CollectionSpec], None], *, new: bool
    ) -> PartitionedShard:
        """Return a collection, with its replicas made where there are none; a new one once
        they serve.

        Raises:
            Exhausted: the cluster has too few nodes with room, or another front is at it.
            Unavailable: the log is away.
        """
        log, settings = self._log_of(spec), self._settings
        replicas = self._place(spec, log, new)
        partitions = [
            Partition(
                number,
                handles,
                retry_s=settings.cluster_retry_ms / 1_000,
                give_up_s=settings.cluster_give_up_s,
            )
            for number, handles in enumerate(replicas)
        ]
        self._partitions[spec.uid] = partitions
        options = WriteOptions(
            replicas=settings.cluster_write_replicas,
            timeout_s=settings.cluster_write_timeout_s,
            copies=settings.cluster_log_copies,
        )
        if new:
            log.start_at(0)
        appender = Appender(
            *(log, partitions, options, self._pool),
            snapshot_of=partial(self._snapshot_of, spec.uid),
        )
        self._appenders[spec.uid] = appender
        self._opened[spec.uid] = shard = PartitionedShard(
            *(spec, partitions, appender, self._loop),
            overdue=self._overdue,
            give_up_s=settings.cluster_give_up_s,
            save=save,
        )
        if new:
            self._wait_until_serving(spec)
        return shard

    def look_at_run(self) -> None:
        """Prepare logs for another run of their server, if there is one, as soon as it is there.

        Raises:
            Unavailable: the server is away, or no replica of a partition is there.
        """
        with log_errors():
            run = self._client.info("server")["run_id"]
        if run == self._run or time.monotonic() < self._look_after_s:
            return
        self._look_after_s = time.monotonic() + _LOOK_AT_RUN_EVERY_S
        looks = [self._loop.run(each.look_at_run()) for each in list(self._appenders.values())]
        failures = [failure for look in looks if (failure := look.exception()) is not None]
        if failures:
            raise failures[0]
        self._run, self._look_after_s = run, 0.0

    def look_for_losses(self) -> None:
        """Have partitions go on whose replicas all wait for what none of them has any more."""
        now_s = time.monotonic()
        if now_s < self._losses_after_s:
            return
        self._losses_after_s = now_s + _LOOK_FOR_LOSSES_EVERY_S
        known = dict(self._partitions)
        asked = {uid: self._loop.run(self._ask(partitions)) for uid, partitions in known.items()}
        for uid, partitions in known.items():
            found = asked[uid].result()
            for number, replica, position in self._losses.look(uid, found, now_s):
                _log.error("partition %d of %s goes on without lost entries", number, uid)
                partitions[number].replicas[replica].call("give_up", position)

    def forget(self, uid: str) -> None:
        """Have nothing of a collection that is deleted."""
        for kept in (self._partitions, self._opened, self._appenders):
            kept.pop(uid, None)

    def adopt(self, spec: CollectionSpec) -> None:
        """Take up settings that another front has changed."""
        self._opened[spec.uid].adopt(spec)

    def remove(self, spec: CollectionSpec) -> None:
        """End a collection's replicas, and delete its logs and snapshots."""
        self.forget(spec.uid)
        self._placing.remove(spec)
        self._log_of(spec).remove()
        SnapshotStorage(self._settings.cluster_snapshots, spec.uid).remove()

    def describe(self, spec: CollectionSpec) -> list[PartitionStatus]:
        """Say how partitions and replicas are; without shared storage no snapshot is known of.

        Raises:
            Unavailable: the log is away.
        """
        log = self._log_of(spec)
        found = self._loop.run(self._ask(self._partitions[spec.uid])).result()
        partitions: list[PartitionStatus] = []
        for number, replicas in enumerate(found):
            state = log.state(number)
            partitions.append(
                PartitionStatus(
                    number,
                    state.last,
                    state.entries,
                    self._snapshot_of(spec.uid, number),
                    [_with_lag(log, number, state, replica) for replica in replicas],
                )
            )
        return partitions

    def close(self) -> None:
        """Leave the cluster; replicas live on."""
        self._loop.close()
        self._pool.shutdown(cancel_futures=True)
        self._placing.close()

    def _place(
        self, spec: CollectionSpec, log: CollectionLog, wait: bool
    ) -> Sequence[Sequence[ReplicaHandle]]:
        # The turn of a front that was killed has to be over first.
        deadline_s = time.monotonic() + _PLACING_LASTS_S + _PLACING_MORE_S
        while time.monotonic() < deadline_s:
            with log.turn("place", _PLACING_LASTS_S) as mine:
                if mine:
                    return self._placing.place(spec, wait=wait)
            time.sleep(0.1)
        raise Exhausted("another server places the collection's replicas: try again")

    def _snapshot_of(self, uid: str, partition: int) -> int:
        """Return the position of the newest snapshot of a partition; 0: none is known of."""
        try:
            newest = SnapshotStorage(self._settings.cluster_snapshots, uid).newest(partition)
        except Unavailable:
            return 0
        return 0 if newest is None else newest.position

    async def _ask(self, partitions: Sequence[Partition]) -> list[list[ReplicaStatus]]:
        asked = await asyncio.gather(
            *(partition.ask_all("status", within_s=_STATUS_S) for partition in partitions)
        )
        return [
            [
                ReplicaStatus(number) if answer is NO_ANSWER else answer
                for number, answer in enumerate(answers)
            ]
            for answers in asked
        ]

    def _wait_until_serving(self, spec: CollectionSpec) -> None:
        """Have a new collection answer before it has its name: all replicas, or one of each
        partition after a while."""
        deadline_s = time.monotonic() + _SERVING_WITHIN_S
        while True:
            asked = self._loop.run(self._ask(self._partitions[spec.uid])).result()
            serving = [
                sum(each.state is ReplicaState.SERVING for each in replicas) for replicas in asked
            ]
            if min(serving) == spec.replicas or (min(serving) and time.monotonic() > deadline_s):
                return
            if time.monotonic() > deadline_s:
                raise Exhausted("the replicas of the collection do not start: see their logs")
            time.sleep(_LOOK_AGAIN_S)

    def _log_of(self, spec: CollectionSpec) -> CollectionLog:
        prefix = self._settings.cluster_key_prefix
        return CollectionLog(self._client, prefix, spec.uid, spec.partitions)


def _with_lag(
    log: CollectionLog, partition: int, state: LogState, replica: ReplicaStatus
) -> ReplicaStatus:
    if replica.position >= state.last:
        return replica
    return replace(replica, lag_entries=log.count_after(partition, replica.position))
