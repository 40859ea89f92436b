"""The queue on Redis, as one worker of the group sees it."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

from redis.exceptions import ResponseError

from embedder_service.worker.protocols import Claimed, Ended, Entry
from lookalike.serving.queue import connection, scripts
from lookalike.serving.queue.entries import EntryDamaged, counted_bytes, decode
from lookalike.serving.queue.keys import GROUP, QueueKeys
from lookalike.wire.errors import Exhausted, Reason, Unavailable

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from embedder_service.worker.settings import WorkerSettings

_log = logging.getLogger(__name__)

_Rows: TypeAlias = list[tuple[bytes, dict[bytes, bytes] | None]]

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
        self._send: Callable[..., Awaitable[Any]] = client.execute_command

    async def wait_for_server(self, wait_s: float) -> None:
        """Wait for the server, check that it suits, create the group if missing.

        Raises:
            Unavailable: it cannot be reached in time, is too old, or evicts keys.
        """
        if await connection.reach(self._client, self._keys.stream, wait_s) is None:
            raise _away()

    async def read_new(self, count: int) -> list[Entry]:
        """See `Queue.read_new`."""
        return await self._read(">", count, _BLOCK_MS)

    async def read_own(self, after: str, count: int) -> list[Entry]:
        """See `Queue.read_own`."""
        return await self._with_attempts(await self._read(after, count, None))

    async def claim_idle(self, count: int) -> Claimed:
        """See `Queue.claim_idle`."""
        entries: list[Entry] = []
        lost: list[str] = []
        cursor: bytes | str = "0-0"
        idle_ms = int(self._settings.claim_idle_s * 1000)
        with _queue_errors():
            while len(entries) < count:
                cursor, rows, gone = await self._send(
                    "XAUTOCLAIM", self._keys.stream, GROUP, self._name, idle_ms, cursor,
                    "COUNT", count - len(entries),
                )  # fmt: skip
                entries += [_entry(entry_id, fields) for entry_id, fields in rows if fields]
                lost += [entry_id.decode() for entry_id in gone]
                if cursor == b"0-0":
                    break
        return Claimed(await self._with_attempts(entries), lost)

    async def begin_attempt(self, entry_id: str) -> int:
        """See `Queue.begin_attempt`."""
        with _queue_errors():
            return int(
                await self._send(
                    "EVAL", scripts.BEGIN_ATTEMPT, 2, self._keys.stream, self._keys.attempts,
                    GROUP, self._name, entry_id,
                )
            )  # fmt: skip

    async def take_back_attempt(self, entry_id: str) -> None:
        """See `Queue.take_back_attempt`."""
        with _queue_errors():
            await self._send("EVAL", scripts.TAKE_BACK_ATTEMPT, 1, self._keys.attempts, entry_id)

    async def end(self, ended: Sequence[Ended]) -> None:
        """See `Queue.end`."""
        pipeline = self._client.pipeline(transaction=False)
        for one in ended:
            if one.failure is None:
                pipeline.eval(scripts.FINISH, 6, *self._end_keys(one), *self._end_values(one))
            else:
                pipeline.eval(scripts.GIVE_UP, 9, *self._give_up_arguments(one))
        with _queue_errors():
            await pipeline.execute()

    async def beat(self, held: Sequence[str], state: Mapping[str, str]) -> None:
        """See `Queue.beat`."""
        flat = [text for pair in state.items() for text in pair]
        ttl_ms = int(self._settings.claim_idle_s * 1000)
        with _queue_errors():
            await self._send(
                "EVAL", scripts.BEAT, 2, self._keys.stream, self._keys.worker(self._name),
                GROUP, self._name, ttl_ms, len(flat), *flat, *held,
            )  # fmt: skip

    async def drop_dead_consumers(self) -> None:
        """Remove names from the group that show no sign of life and have nothing in hand.

        Raises:
            Unavailable: the queue cannot be reached.
        """
        idle_ms = int(self._settings.claim_idle_s * 1000)
        with _queue_errors():
            for consumer in await self._client.xinfo_consumers(self._keys.stream, GROUP):
                name = consumer["name"].decode()
                if name == self._name or consumer["pending"] or consumer["idle"] < idle_ms:
                    continue
                await self._send(
                    "EVAL", scripts.DROP_CONSUMER, 2, self._keys.stream, self._keys.worker(name),
                    GROUP, name,
                )  # fmt: skip

    async def release(self, entry_ids: Sequence[str]) -> None:
        """See `Queue.release`."""
        idle_ms = int(self._settings.claim_idle_s * 2000)
        with _queue_errors():
            if entry_ids:
                await self._client.xclaim(
                    self._keys.stream,
                    GROUP,
                    self._name,
                    0,
                    list(entry_ids),
                    idle=idle_ms,
                    justid=True,
                )
            await self._client.delete(self._keys.worker(self._name))

    async def close(self) -> None:
        """Disconnect."""
        await self._client.aclose()

    async def _read(self, after: str, count: int, block_ms: int | None) -> list[Entry]:
        wait = ("BLOCK", block_ms) if block_ms is not None else ()
        with _queue_errors():
            try:
                answer = await self._send(
                    "XREADGROUP", "GROUP", GROUP, self._name, "COUNT", count, *wait,
                    "STREAMS", self._keys.stream, after,
                )  # fmt: skip
            except ResponseError as error:
                if not str(error).startswith("NOGROUP"):
                    raise
                # The server came back empty.
                await connection.ensure_group(self._client, self._keys.stream)
                return []
        rows: _Rows = answer[0][1] if answer else []
        return [_entry(entry_id, fields) for entry_id, fields in rows]

    async def _with_attempts(self, entries: list[Entry]) -> list[Entry]:
        if not entries:
            return entries
        with _queue_errors():
            counts: list[bytes | None] = await self._send(
                "HMGET", self._keys.attempts, *(entry.entry_id for entry in entries)
            )
        return [
            replace(entry, attempts=int(count or 0))
            for entry, count in zip(entries, counts, strict=True)
        ]

    def _end_keys(self, one: Ended) -> list[str]:
        keys, mutation = self._keys, one.entry.mutation
        job = mutation.job_id if mutation else ""
        return [
            keys.stream,
            keys.stream_bytes,
            keys.attempts,
            keys.versions(mutation.collection_uid if mutation else ""),
            keys.job(job) if job else keys.stream,
            keys.job_events(job) if job else keys.stream,
        ]

    def _end_values(self, one: Ended) -> list[str | bytes | int]:
        mutation = one.entry.mutation
        has_job = mutation is not None and bool(mutation.job_id)
        return [
            GROUP,
            one.entry.entry_id,
            one.entry.counted_bytes,
            mutation.version if mutation else 0,
            int(self._settings.job_retention_s * 1000) if has_job else 0,
            self._settings.max_job_events,
            mutation.collection_uid if mutation else "",
            one.result.SerializeToString(),
        ]

    def _give_up_arguments(self, one: Ended) -> list[str | bytes | int]:
        keys, mutation, error = self._keys, one.entry.mutation, one.failure
        listed: list[str | bytes | int] = ["e", one.entry.entry_id, "a", one.attempts]
        if mutation is not None:
            listed += ["u", mutation.collection_uid, "i", mutation.id]
            listed += ["v", mutation.version, "j", mutation.job_id]
        if error is not None:
            listed += ["r", int(error.reason), "m", error.message, "f", error.field]
            listed += ["y", int(error.retryable)]
        return [
            *self._end_keys(one),
            keys.dead,
            keys.dead_entry(one.entry.entry_id),
            keys.dead_bytes,
            *self._end_values(one),
            self._settings.max_dead_bytes,
            *listed,
        ]


def _entry(entry_id: bytes, fields: Mapping[bytes, bytes] | None) -> Entry:
    fields = fields or {}
    try:
        mutation = decode(fields)
    except EntryDamaged:
        _log.error("unreadable queue entry", extra={"entry": entry_id.decode()})
        mutation = None
    return Entry(entry_id.decode(), counted_bytes(fields), mutation)


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
