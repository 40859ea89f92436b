"""A replica as a Ray actor: it is placed, found and started anew by Ray.

Every method answers with `Told`: errors travel as values, since Ray would wrap them.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

from lookalike.wire.errors import LookalikeError, Reason, Unavailable
from search_service.catalog.shards import Shards
from search_service.cluster.connection import connect
from search_service.cluster.log import CollectionLog
from search_service.cluster.names import SharedCatalog
from search_service.cluster.replica import Replica
from search_service.cluster.settings import ClusterSettings
from search_service.cluster.status import ReplicaState
from search_service.cluster.storage import SnapshotStorage
from search_service.compiled.warm import warm_up
from search_service.domain.collection import SettingsChange
from search_service.domain.queries import QueryRequest
from search_service.shard.options import ShardOptions

_log = logging.getLogger(__name__)

_EXIT_FAILED = 3
# For callers to be told, and for the log to be written.
_FATAL_DELAY_S = 0.2
_READ_THREADS = 4
_SWITCH_INTERVAL_S = 0.001
_WATCH_S = 1.0
# Another replica is asked meanwhile; calls must not pile up at one that is behind.
_REACH_WITHIN_S = 1.0
# As at a front (`servicers/queries.py`).
_CROWD_LASTS_S = 0.25


@dataclass(frozen=True, slots=True)
class Told:
    """What an actor answers: a value, or an error."""

    value: Any = None
    error: LookalikeError | None = None


Method = Callable[..., Awaitable[Any]]


def _told(method: Method) -> Callable[..., Awaitable[Told]]:
    @functools.wraps(method)
    async def answer(self: ReplicaActor, *args: Any) -> Told:
        try:
            return Told(await method(self, *args))
        except LookalikeError as error:
            return Told(error=error)
        except Exception:  # noqa: BLE001 - the caller's process is another one
            _log.exception("a call of a replica fails")
            fault = "a replica failed; its log says why"
            return Told(error=LookalikeError(fault, reason=Reason.INTERNAL))

    return answer


class ReplicaActor:
    """Answers what the front asks of one replica."""

    def __init__(
        self,
        settings: ClusterSettings,
        options: ShardOptions,
        uid: str,
        partition: int,
        number: int,
        node: str,
    ) -> None:
        """Start the replica; Ray calls this anew, on any node, after the process has died."""
        logging.basicConfig(level=logging.INFO)
        # As `__main__` does for a server of its own: threads share scans.
        sys.setswitchinterval(_SWITCH_INTERVAL_S)
        threadpool_limits(limits=1, user_api="blas")
        node = node or _node_address()
        client = connect(settings.cluster_log, settings.cluster_log_tls_ca)
        spec = SharedCatalog(client, settings.cluster_key_prefix).spec(uid)
        if spec is None:
            raise RuntimeError("the collection was deleted")
        warm_up()
        self._asking = 0
        self._crowded_s = -_CROWD_LASTS_S
        self._pool = ThreadPoolExecutor(_READ_THREADS, thread_name_prefix="reads")
        self.replica = Replica(
            spec,
            partition,
            number,
            root=Path(str(settings.cluster_data).replace("{node}", node)),
            node=node,
            shards=Shards(options, _on_fatal),
            log=CollectionLog(client, settings.cluster_key_prefix, uid, spec.partitions),
            storage=SnapshotStorage(settings.cluster_snapshots, uid),
            snapshot_entries=settings.cluster_snapshot_entries,
        )
        self.replica.start()
        threading.Thread(target=self._watch, name="watch", daemon=True).start()

    @_told
    async def query(self, request: QueryRequest, position: int, left_s: float, timed: bool) -> Any:
        """Answer queries, once what the caller has seen is applied; with `timed` within what is
        left of the time, else only that is waited for so long."""
        deadline_s = time.monotonic() + left_s
        shard = self.replica.shard
        await self._reach(position, left_s)
        if timed:
            request = replace(request, deadline_s=deadline_s)
        self._asking += 1
        try:
            if self._is_alone() and (outcomes := shard.query_here(request)) is not None:
                return outcomes
            return await asyncio.wrap_future(shard.query(request))
        finally:
            self._asking -= 1

    @_told
    async def read(self, method: str, args: tuple[Any, ...], position: int, left_s: float) -> Any:
        """Call one of the reading methods of the shard, once it has what the caller has seen."""
        shard = self.replica.shard
        await self._reach(position, left_s)
        match method:
            case "get":
                return await self._in_thread(shard.get, *args)
            case "list_items":
                condition, after_id, page_size, fields = args
                return await self._in_thread(
                    shard.list_items,
                    filter=condition,
                    after_id=after_id,
                    page_size=page_size,
                    fields=fields,
                )
            case "list_ordered":
                condition, order, after, page_size, fields = args
                return await self._in_thread(
                    shard.list_ordered,
                    filter=condition,
                    order=order,
                    after=after,
                    page_size=page_size,
                    fields=fields,
                )
            case "facets":
                return await self._in_thread(shard.facets, *args)
            case "count":
                return await self._in_thread(shard.count, *args)
            case "remarks":
                return await self._in_thread(shard.remarks, *args)
            case "stats":
                return await self._in_thread(shard.stats)
            case _:
                sample_size, limit, expansions, seed = args
                return await self._in_thread(
                    shard.measure_recall,
                    sample_size=sample_size,
                    limit=limit,
                    expansions=expansions,
                    seed=seed,
                )

    @_told
    async def stored(self, positions: range, within_s: float) -> Any:
        """Wait until entries are applied durably; return what each led to, None: forgotten."""
        await self._applied(positions[-1], within_s)
        return self.replica.progress.outcomes(positions)

    @_told
    async def reached(self) -> Any:
        """Return the last entry that is applied or being applied."""
        return await asyncio.to_thread(self.replica.reached)

    @_told
    async def status(self) -> Any:
        """Say how the replica is."""
        return await asyncio.to_thread(self.replica.status)  # not behind long reads

    @_told
    async def update_settings(self, change: SettingsChange) -> Any:
        """Change settings durably."""
        await self._in_thread(self.replica.update_settings, change)

    @_told
    async def prune_tombstones(self, below_version: int) -> Any:
        """Forget deletions."""
        return await self._in_thread(self.replica.prune_tombstones, below_version)

    @_told
    async def give_up(self, position: int) -> Any:
        """Go on past entries that nobody has any more."""
        self.replica.give_up(position)

    @_told
    async def leave(self) -> Any:
        """End the replica, and delete what it has on the disk."""
        await asyncio.to_thread(self.replica.stop, remove=True)

    def _is_alone(self) -> bool:
        """Say whether there was one request at a time lately: others would share index calls."""
        now_s = time.monotonic()
        if self._asking > 1:
            self._crowded_s = now_s
        return now_s - self._crowded_s > _CROWD_LASTS_S

    async def _reach(self, position: int, within_s: float) -> None:
        progress = self.replica.progress
        if progress.is_complete(position):
            return
        last, complete = await asyncio.to_thread(self.replica.look_up, position)
        await self._applied(last, min(within_s, _REACH_WITHIN_S))
        progress.note_complete(complete)

    async def _applied(self, position: int, within_s: float) -> None:
        try:
            async with asyncio.timeout(within_s):
                await asyncio.wrap_future(self.replica.progress.reach(position))
        except TimeoutError:
            raise Unavailable("the replica is behind in its log", reason=Reason.NOT_READY) from None

    async def _in_thread(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        call = functools.partial(function, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._pool, call)

    def _watch(self) -> None:
        """End the process once the replica has failed: Ray starts it anew."""
        while self.replica.state is not ReplicaState.FAILED:
            time.sleep(_WATCH_S)
        _on_fatal()


def _on_fatal() -> None:
    _log.critical("a replica failed; its process ends and is started anew")
    threading.Timer(_FATAL_DELAY_S, os._exit, (_EXIT_FAILED,)).start()


def _node_address() -> str:
    import ray

    address: str = ray.util.get_node_ip_address()
    return address
