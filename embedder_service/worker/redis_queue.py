"""The queue on Redis, as one worker of the group sees it."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from embedder_service.worker import fair
from embedder_service.worker.protocols import Claimed, Ended, Entry
from lookalike.serving.queue import connection, endings, jobs, scripts
from lookalike.serving.queue.entries import EntryDamaged, Kind, counted_bytes, decode
from lookalike.serving.queue.keys import GROUP, LANES, QueueKeys
from lookalike.wire.errors import Exhausted, Reason, Unavailable

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from embedder_service.worker.settings import WorkerSettings

_log = logging.getLogger(__name__)

# How long a read waits for an entry: it wakes when one comes, so that this only
# bounds how long an idle worker takes to notice that it must stop.
_BLOCK_MS = 500


class RedisQueue:
    """`embedder_service.worker.protocols.Queue` for consumer `settings.name`."""

    def __init__(self, client: Redis, settings: WorkerSettings) -> None:
        self._client = client
        self._settings = settings
        self._name = settings.name
        self._keys = QueueKeys(settings.key_prefix)
        self._numbers = {name.encode(): at for at, name in enumerate(self._keys.lanes)}
        self._send: Callable[..., Awaitable[Any]] = client.execute_command

    async def wait_for_server(self, wait_s: float) -> None:
        """Wait for the server, check that it suits, create the group if missing.

        Raises:
            Unavailable: it cannot be reached in time, is too old, or evicts keys.
        """
        info = await connection.reach(self._client, self._keys.lanes, wait_s)
        if isinstance(info, str):
            raise Unavailable(info, reason=Reason.QUEUE_UNAVAILABLE)

    async def read_new(self, count: int, held: Mapping[int, int]) -> list[Entry]:
        """See `Queue.read_new`."""
        lanes = self._keys.lanes
        with _queue_errors():
            unread: list[int] = await self._send("EVAL", scripts.UNREAD, LANES, *lanes, GROUP)
        given = fair.shares(count, unread, held)
        if not given:
            return await self._read([(range(LANES), ">", 1)], _BLOCK_MS)
        return await self._read([([lane], ">", share) for lane, share in given.items()])

    async def read_own(self, lane: int, after: str, count: int) -> list[Entry]:
        """See `Queue.read_own`."""
        return await self._with_attempts(await self._read([([lane], after, count)]))

    async def claim_idle(self, count: int) -> Claimed:
        """See `Queue.claim_idle`."""
        entries: list[Entry] = []
        lost: list[str] = []
        with _queue_errors():
            for lane in range(LANES):
                await self._claim_lane(lane, count, entries, lost)
        return Claimed(await self._with_attempts(entries), lost)

    async def _claim_lane(
        self, lane: int, count: int, entries: list[Entry], lost: list[str]
    ) -> None:
        cursor: bytes | str = "0-0"
        idle_ms = int(self._settings.claim_idle_s * 1000)
        while len(entries) < count:
            cursor, rows, gone = await self._send(
                "XAUTOCLAIM", self._keys.lane(lane), GROUP, self._name, idle_ms, cursor,
                "COUNT", count - len(entries),
            )  # fmt: skip
            entries += [_entry(lane, entry_id, fields) for entry_id, fields in rows if fields]
            lost += [entry_id.decode() for entry_id in gone]
            if cursor == b"0-0":
                return

    async def begin_attempt(self, entry: Entry) -> int:
        """See `Queue.begin_attempt`."""
        with _queue_errors():
            return int(
                await self._send(
                    "EVAL", scripts.BEGIN_ATTEMPT, 2, self._keys.lane(entry.lane),
                    self._keys.attempts, GROUP, self._name, entry.entry_id, entry.key,
                )
            )  # fmt: skip

    async def take_back_attempt(self, entry: Entry) -> None:
        """See `Queue.take_back_attempt`."""
        with _queue_errors():
            await self._send("EVAL", scripts.TAKE_BACK_ATTEMPT, 1, self._keys.attempts, entry.key)

    async def end(self, ended: Sequence[Ended]) -> None:
        """See `Queue.end`."""
        pipeline = self._client.pipeline(transaction=False)
        for one in ended:
            if one.failure is None:
                pipeline.eval(
                    endings.FINISH, 10, *self._end_keys(one), *self._end_values(one), _settles(one)
                )
            else:
                pipeline.eval(endings.GIVE_UP, 11, *self._give_up_arguments(one))
        with _queue_errors():
            await pipeline.execute()

    async def beat(self, held: Sequence[Entry], state: Mapping[str, str]) -> None:
        """See `Queue.beat`."""
        flat = [text for pair in state.items() for text in pair]
        ttl_ms = int(self._settings.claim_idle_s * 1000)
        pipeline = self._client.pipeline(transaction=False)
        pipeline.eval(scripts.BEAT, 1, self._keys.worker(self._name), ttl_ms, *flat)
        for lane, ids in _ids_by_lane(held).items():
            pipeline.eval(scripts.REFRESH, 1, self._keys.lane(lane), GROUP, self._name, *ids)
        with _queue_errors():
            answers = await pipeline.execute(raise_on_error=False)
            for answer in answers:
                # A server that came back empty has no group yet: reading makes it.
                if isinstance(answer, Exception) and "NOGROUP" not in str(answer):
                    raise answer

    async def drop_dead_consumers(self) -> None:
        """Remove names from the group that show no sign of life and have nothing in hand.

        Raises:
            Unavailable: the queue cannot be reached.
        """
        with _queue_errors():
            for stream in self._keys.lanes:
                await self._drop_from(stream)

    async def _drop_from(self, stream: str) -> None:
        idle_ms = int(self._settings.claim_idle_s * 1000)
        for consumer in await self._client.xinfo_consumers(stream, GROUP):
            name = consumer["name"].decode()
            if name == self._name or consumer["pending"] or consumer["idle"] < idle_ms:
                continue
            await self._send(
                "EVAL", scripts.DROP_CONSUMER, 2, stream, self._keys.worker(name), GROUP, name
            )

    async def release(self, entries: Sequence[Entry]) -> None:
        """See `Queue.release`."""
        idle_ms = int(self._settings.claim_idle_s * 2000)
        with _queue_errors():
            for lane, ids in _ids_by_lane(entries).items():
                await self._client.xclaim(
                    self._keys.lane(lane), GROUP, self._name, 0, [*ids], idle=idle_ms, justid=True
                )
            await self._client.delete(self._keys.worker(self._name))

    async def close(self) -> None:
        """Disconnect."""
        await self._client.aclose()

    async def _read(
        self, reads: Sequence[tuple[Sequence[int], str, int]], block_ms: int | None = None
    ) -> list[Entry]:
        """Read from lanes, after an id, so many of each."""
        wait = ("BLOCK", block_ms) if block_ms is not None else ()
        pipeline = self._client.pipeline(transaction=False)
        for lanes, after, count in reads:
            pipeline.execute_command(
                "XREADGROUP", "GROUP", GROUP, self._name, "COUNT", count, *wait,
                "STREAMS", *(self._keys.lane(lane) for lane in lanes), *(after for _ in lanes),
            )  # fmt: skip
        entries: list[Entry] = []
        with _queue_errors():
            for answer in await pipeline.execute(raise_on_error=False):
                if isinstance(answer, Exception):
                    if "NOGROUP" not in str(answer):
                        raise answer
                    # The server came back empty.
                    await connection.ensure_groups(self._client, self._keys.lanes)
                    continue
                for stream, rows in answer or ():
                    lane = self._numbers[stream]
                    entries += [_entry(lane, entry_id, fields) for entry_id, fields in rows]
        return entries

    async def _with_attempts(self, entries: list[Entry]) -> list[Entry]:
        if not entries:
            return entries
        with _queue_errors():
            counts: list[bytes | None] = await self._send(
                "HMGET", self._keys.attempts, *(entry.key for entry in entries)
            )
        return [
            replace(entry, attempts=int(count or 0))
            for entry, count in zip(entries, counts, strict=True)
        ]

    def _end_keys(self, one: Ended) -> list[str]:
        keys, mutation = self._keys, one.entry.mutation
        job = mutation.job_id if mutation and jobs.followed(mutation.job_id) else ""
        uid = mutation.collection_uid if mutation else ""
        lane = keys.lane(one.entry.lane)
        return [
            lane,
            keys.stream_bytes,
            keys.attempts,
            keys.versions(uid),
            keys.job(job) if job else lane,
            keys.job_events(job) if job else lane,
            keys.ended,
            keys.failed(uid),
            keys.dead,
            keys.dead_bytes,
        ]

    def _end_values(self, one: Ended) -> list[str | bytes | int]:
        mutation = one.entry.mutation
        has_job = mutation is not None and jobs.followed(mutation.job_id)
        return [
            GROUP,
            one.entry.entry_id,
            one.entry.key,
            one.entry.counted_bytes,
            mutation.version if mutation else 0,
            int(self._settings.job_retention_s * 1000) if has_job else 0,
            self._settings.max_job_events,
            mutation.collection_uid if mutation else "",
            one.result.SerializeToString(),
            # New metadata does not take the place of a picture that failed.
            jobs.item_of(mutation.job_id, mutation.id)
            if mutation and mutation.kind is not Kind.METADATA
            else "",
        ]

    def _give_up_arguments(self, one: Ended) -> list[str | bytes | int]:
        keys, mutation, error = self._keys, one.entry.mutation, one.failure
        listed: list[str | bytes | int] = ["e", one.entry.key, "a", one.attempts]
        if mutation is not None:
            listed += ["u", mutation.collection_uid, "i", mutation.id]
            listed += ["v", mutation.version, "j", mutation.job_id]
        if error is not None:
            listed += ["r", int(error.reason), "m", error.message, "f", error.field]
            listed += ["y", int(error.retryable)]
        if one.result.HasField("near_duplicate"):
            near = one.result.near_duplicate
            listed += ["d", near.id, "s", repr(near.score)]
        return [
            *self._end_keys(one),
            keys.dead_entry(one.entry.key),
            *self._end_values(one),
            self._settings.max_dead_bytes,
            *listed,
        ]


def _settles(one: Ended) -> int:
    """Whether older failures of the item are past: its picture was replaced or deleted."""
    mutation = one.entry.mutation
    return int(mutation is not None and mutation.kind is not Kind.METADATA)


def _ids_by_lane(entries: Sequence[Entry]) -> dict[int, list[str]]:
    ids: dict[int, list[str]] = {}
    for entry in entries:
        ids.setdefault(entry.lane, []).append(entry.entry_id)
    return ids


def _entry(lane: int, entry_id: bytes, fields: Mapping[bytes, bytes] | None) -> Entry:
    fields = fields or {}
    try:
        mutation = decode(fields)
    except EntryDamaged:
        _log.error("unreadable queue entry", extra={"entry": entry_id.decode()})
        mutation = None
    return Entry(entry_id.decode(), counted_bytes(fields), mutation, lane=lane)


@contextlib.contextmanager
def _queue_errors() -> Iterator[None]:
    """Turn failures into Unavailable: a worker waits for a full server to drain as
    it waits for one that is away."""
    try:
        with connection.queue_errors():
            yield
    except Exhausted as error:
        raise _away() from error


def _away() -> Unavailable:
    return Unavailable("the ingestion queue cannot be reached", reason=Reason.QUEUE_UNAVAILABLE)
