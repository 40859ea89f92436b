"""Puts mutations into the queue, in one order for each collection."""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from redis.exceptions import RedisError

from lookalike.serving import tasks
from lookalike.serving.queue import entries, jobs, scripts
from lookalike.serving.queue.connection import full, queue_errors, to_error
from lookalike.serving.queue.entries import QueuedMutation
from lookalike.wire.errors import Exhausted, LookalikeError, Reason, Unavailable
from search_service.ingest.twins import copy_for_twin

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from lookalike.serving.queue.keys import QueueKeys
    from search_service.ingest.ledger import Ledger
    from search_service.ingest.settings import IngestSettings
    from search_service.ingest.twins import Twins
    from search_service.shard.api import ShardApi

_log = logging.getLogger(__name__)

# One round trip carries at most this much: the server answers others in between.
MAX_BATCH_ITEMS = 128
MAX_BATCH_BYTES = 8 * 1024 * 1024


@dataclass(slots=True)
class _Waiting:
    """`copy` goes to the collection's twin; both are queued, or neither."""

    shard: ShardApi
    mutation: QueuedMutation
    future: asyncio.Future[int]
    copy: QueuedMutation | None = None
    refusal: LookalikeError | None = None

    @property
    def both(self) -> list[QueuedMutation]:
        """What is queued."""
        return [self.mutation] if self.copy is None else [self.mutation, self.copy]


class Appender:
    """One task gives versions and appends: the order of versions is the order in
    which mutations came, and the order in which they stand in the queue.

    Accepted means that the server answered, which with `appendfsync always` is
    after its append-only file was synced. When the answer is lost the mutation
    may be queued all the same: its version is older than the next attempt's.
    """

    def __init__(
        self,
        client: Redis,
        keys: QueueKeys,
        settings: IngestSettings,
        ledger: Ledger,
        twins: Twins,
    ) -> None:
        self._client = client
        self._keys = keys
        self._settings = settings
        self._ledger = ledger
        self._twins = twins
        self._waiting: asyncio.Queue[_Waiting] = asyncio.Queue(settings.window_items * 16)
        self._task: asyncio.Task[None] | None = None
        self._order = asyncio.Lock()
        self._closed = False
        self.oldest_age_s: float | None = None

    def start(self) -> None:
        """Start the task."""
        self._task = asyncio.create_task(self._run(), name="ingest-appender")

    async def close(self) -> None:
        """Refuse what still waits and stop."""
        self._closed = True
        await tasks.end(self._task)
        self._refuse_if_closed()

    async def append(self, shard: ShardApi, mutation: QueuedMutation) -> int:
        """Queue a mutation; return its version: the next one where it has none.

        What gets its version here is queued for the collection's twin, too.

        Raises:
            Exhausted: the queue is full, too old, or its server out of memory.
            Unavailable: the queue cannot be reached, or the service stops.
        """
        if self._closed:
            raise _stopping()
        age_s, bound_s = self.oldest_age_s, self._settings.max_queue_age_s
        if bound_s and age_s is not None and age_s > bound_s:
            raise full(
                f"the oldest image has waited {age_s:,.0f} s; the limit is {bound_s:,.0f} s (the "
                "search service's setting max_queue_age_s): add workers, or send again later"
            )
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        await self._waiting.put(_Waiting(shard, mutation, future))
        self._refuse_if_closed()
        return await future

    async def version_bound(self, shard: ShardApi) -> int:
        """Return a version below which none is still on its way into the queue."""
        async with self._order:
            return (await asyncio.to_thread(shard.reserve_versions, 1)).start

    def _refuse_if_closed(self) -> None:
        while self._closed and not self._waiting.empty():
            _resolve(self._waiting.get_nowait(), _stopping())

    async def _run(self) -> None:
        while True:
            batch = [await self._waiting.get()]
            size = batch[0].mutation.counted_bytes
            while len(batch) < MAX_BATCH_ITEMS and size < MAX_BATCH_BYTES:
                try:
                    item = self._waiting.get_nowait()
                except asyncio.QueueEmpty:
                    break
                size += item.mutation.counted_bytes
                batch.append(item)
            try:
                async with self._order:
                    await self._append_batch(batch)
            except LookalikeError as error:
                for item in batch:
                    _resolve(item, error)
            except Exception:  # noqa: BLE001 - a fault must not end the only task that appends
                _log.exception("cannot append to the queue")
                fault = LookalikeError("internal error; try again", reason=Reason.INTERNAL)
                for item in batch:
                    _resolve(item, fault)
            finally:
                for item in batch:
                    _resolve(item, _stopping())  # cancelled: whoever has no answer yet

    async def _append_batch(self, batch: Sequence[_Waiting]) -> None:
        ready = [item for item in await self._with_versions(batch) if not item.future.done()]
        if not ready:
            return
        # Noted before: a worker may be done with one before its answer is here.
        noted = [mutation for item in ready for mutation in item.both]
        lanes = iter(await asyncio.to_thread(self._ledger.begin, noted))
        pipeline = self._client.pipeline(transaction=False)
        for item in ready:
            if item.copy is None:
                pipeline.eval(scripts.APPEND, 4, *self._arguments(item.mutation, next(lanes)))
            else:
                given = self._arguments_of_both(item.mutation, item.copy, next(lanes), next(lanes))
                pipeline.eval(scripts.APPEND_BOTH, 6, *given)
        answers: Sequence[object] = ()
        try:
            with queue_errors():
                answers = await pipeline.execute(raise_on_error=False)
        finally:
            await asyncio.shield(asyncio.to_thread(self._note, ready, answers))
        for item, answer in zip(ready, answers, strict=True):
            if answer == b"FULL":
                _resolve(item, self._full())
            elif isinstance(answer, RedisError | OSError):
                _resolve(item, to_error(answer))
            else:
                _resolve(item, item.mutation.version)

    def _full(self) -> LookalikeError:
        return full(
            f"the queue is full: it holds {self._settings.max_queue_bytes:,} bytes (the search "
            "service's setting max_queue_bytes); send again later"
        )

    def _note(self, ready: Sequence[_Waiting], answers: Sequence[object]) -> None:
        """Note which mutations are queued; the others were never accepted."""
        queued: list[tuple[str, int, str]] = []
        refused: list[tuple[str, int]] = []
        for item, answer in itertools.zip_longest(ready, answers):
            entries_of = answer if isinstance(answer, list) else [answer]
            for mutation, entry in itertools.zip_longest(item.both, entries_of):
                if isinstance(entry, bytes) and entry != b"FULL":
                    queued.append((mutation.collection_uid, mutation.version, entry.decode()))
                else:
                    refused.append((mutation.collection_uid, mutation.version))
        self._ledger.confirm(queued)
        self._ledger.end(refused)

    async def _with_versions(self, batch: Sequence[_Waiting]) -> list[_Waiting]:
        """Give each collection's mutations their versions; drop whose caller left."""
        now_ms = int(time.time() * 1000)
        live = [item for item in batch if not item.future.done()]
        by_uid: dict[str, list[_Waiting]] = {}
        for item in live:
            if item.mutation.version:
                item.mutation = replace(item.mutation, submit_time_ms=now_ms)
                continue
            by_uid.setdefault(item.mutation.collection_uid, []).append(item)
        for items in by_uid.values():
            try:
                versions = await asyncio.to_thread(items[0].shard.reserve_versions, len(items))
            except LookalikeError as error:
                for item in items:
                    _resolve(item, error)
                continue
            for item, version in zip(items, versions, strict=True):
                mutation = replace(item.mutation, version=version, submit_time_ms=now_ms)
                item.copy = copy_for_twin(mutation, self._twins.twin_of)
                item.mutation = replace(mutation, twinned=item.copy is not None)
            await asyncio.to_thread(self._refuse_contested, items)
            for item in items:
                if item.refusal is not None:
                    _resolve(item, item.refusal)
        return live

    def _refuse_contested(self, items: Sequence[_Waiting]) -> None:
        """Refuse a tenant's image for two collections while somebody else's mutation of the
        item is in the queue: each of the two might find another one first, and give the id
        to another."""
        before: dict[str, set[str]] = {}
        for item in items:
            mutation = item.mutation
            tenant = jobs.tenant_of(mutation.job_id)
            others = before.setdefault(mutation.id, set())
            if (
                mutation.guard
                and item.copy is not None
                and (
                    others - {tenant}
                    or self._ledger.others_wait(mutation.collection_uid, mutation.id, tenant)
                )
            ):
                item.refusal = _contested(mutation.id)
            else:
                others.add(tenant)

    def _arguments(self, mutation: QueuedMutation, lane: int) -> list[str | bytes | int]:
        keys, job = self._keys, mutation.job_id if jobs.followed(mutation.job_id) else ""
        return [
            keys.lane(lane),
            keys.stream_bytes,
            keys.versions(mutation.collection_uid),
            keys.job(job) if job else keys.stream,
            self._settings.max_queue_bytes,
            mutation.counted_bytes,
            mutation.version,
            int(self._settings.job_retention_s * 1000) if job else 0,
            *entries.encode(mutation),
        ]

    def _arguments_of_both(
        self, mutation: QueuedMutation, copy: QueuedMutation, lane: int, copy_lane: int
    ) -> list[str | bytes | int]:
        keys, values = self._keys, entries.encode(mutation)
        job = mutation.job_id if jobs.followed(mutation.job_id) else ""
        return [
            keys.stream_bytes,
            keys.job(job) if job else keys.stream,
            keys.lane(lane),
            keys.versions(mutation.collection_uid),
            keys.lane(copy_lane),
            keys.versions(copy.collection_uid),
            self._settings.max_queue_bytes,
            mutation.counted_bytes + copy.counted_bytes,
            mutation.version,
            int(self._settings.job_retention_s * 1000) if job else 0,
            len(values),
            *values,
            *entries.encode(copy),
        ]


def _resolve(item: _Waiting, outcome: int | LookalikeError) -> None:
    if item.future.done():
        return
    if isinstance(outcome, int):
        item.future.set_result(outcome)
    else:
        item.future.set_exception(outcome)


def _contested(item_id: str) -> Exhausted:
    return Exhausted(
        f'an item "{item_id}" of somebody else is in the queue: take another id, or send this '
        "again later",
        retry_delay_s=1.0,
    )


def _stopping() -> Unavailable:
    return Unavailable("the service is stopping", reason=Reason.NOT_READY, retry_delay_s=1.0)
