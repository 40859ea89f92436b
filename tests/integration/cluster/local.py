"""A cluster without Ray: replicas in this process, on threads, as their actors would be."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from search_service.cluster.actor import ReplicaActor
from search_service.cluster.answering import Told
from search_service.cluster.fanout import ReplicaAway
from search_service.cluster.loops import LoopThread
from search_service.cluster.messages import pack, unpack
from search_service.cluster.settings import ClusterSettings
from search_service.domain.collection import CollectionSpec
from search_service.shard.options import ShardOptions

OPTIONS = ShardOptions(threads=1, build_threads=1, check_bytes_per_s=0)


class LocalReplica:
    """`ReplicaHandle` over a replica that may be killed, started again, or held up."""

    def __init__(self, placing: LocalPlacing, uid: str, partition: int, number: int) -> None:
        self._placing = placing
        self._identity = (uid, partition, number)
        self._actor: ReplicaActor | None = None
        self.silent = threading.Event()
        self.calls = 0
        self.start()

    def start(self, node: str = "") -> None:
        """Start it, on a node of its own or another."""
        placing = self._placing
        node = node or f"node-{self._identity[2]}"
        self._actor = ReplicaActor(placing.settings, OPTIONS, *self._identity, node)

    def kill(self) -> None:
        """Have it gone: calls fail at once, and nothing is told to anybody."""
        actor, self._actor = self._actor, None
        if actor is not None:
            actor.replica.stop()

    def call(self, method: str, *args: Any) -> Future[Any]:
        """See `ReplicaHandle`."""
        self.calls += 1
        actor = self._actor
        if actor is None:
            away: Future[Any] = Future()
            away.set_exception(ReplicaAway("killed"))
            return away

        async def answer() -> Any:
            while self.silent.is_set():
                await asyncio.sleep(0.01)
            call = partial(actor.tell, pack((method, *args)))
            answered = asyncio.get_running_loop().run_in_executor(self._placing.pool, call)
            told: Told = unpack(await answered)
            if told.error is not None:
                raise told.error
            return told.value

        return self._placing.loop.run(answer())


class LocalPlacing:
    """`Placing` in this process."""

    def __init__(self, settings: ClusterSettings) -> None:
        self.settings = settings
        self.loop = LoopThread("actors")
        self.pool = ThreadPoolExecutor(128, thread_name_prefix="actors")
        self.replicas: dict[str, list[list[LocalReplica]]] = {}
        # Where a test clears it, collections wait to be placed.
        self.has_room = threading.Event()
        self.has_room.set()

    def connect(self) -> None:
        """See `Placing`."""

    def close(self) -> None:
        """See `Placing`; `stop` ends the replicas."""

    def place(self, spec: CollectionSpec, *, wait: bool) -> Sequence[Sequence[LocalReplica]]:
        """See `Placing`."""
        self.has_room.wait(60)
        if spec.uid not in self.replicas:
            self.replicas[spec.uid] = [
                [LocalReplica(self, spec.uid, partition, number) for number in range(spec.replicas)]
                for partition in range(spec.partitions)
            ]
        return self.replicas[spec.uid]

    def remove(self, spec: CollectionSpec) -> None:
        """See `Placing`."""
        replicas = itertools.chain.from_iterable(self.replicas.pop(spec.uid, []))
        for left in [replica.call("leave") for replica in replicas]:
            with contextlib.suppress(ReplicaAway):
                left.result(60)

    def stop(self) -> None:
        """End everything; each takes up to a second to leave the log."""
        everything = itertools.chain.from_iterable(
            itertools.chain.from_iterable(self.replicas.values())
        )
        list(self.pool.map(LocalReplica.kill, everything))
        self.loop.close()
        self.pool.shutdown(cancel_futures=True)


def cluster_settings(port: int, root: Path, **values: Any) -> ClusterSettings:
    """Return settings of a cluster under `root`, with quick retries."""
    return ClusterSettings(
        **{
            "cluster_log": f"redis://127.0.0.1:{port}",
            "cluster_snapshots": f"file://{root}/snapshots",
            "cluster_data": root / "{node}",
            "cluster_retry_ms": 100.0,
            "cluster_give_up_s": 5.0,
            "cluster_write_timeout_s": 3.0,
            **values,
        }
    )
