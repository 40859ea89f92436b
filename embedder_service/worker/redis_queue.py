"""The queue on Redis, as one worker of the group sees it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

from embedder_service.worker import scripts
from embedder_service.worker.ports import Claimed, Ended, Entry
from lookalike.wire import queue
from lookalike.wire.errors import InvalidField, Reason, Unavailable

if TYPE_CHECKING:
    from embedder_service.worker.settings import WorkerSettings

_log = logging.getLogger(__name__)

_Rows: TypeAlias = list[tuple[bytes, dict[bytes, bytes] | None]]

# How long a read waits for an entry: it wakes when one comes, so that this only
# bounds how long an idle worker takes to notice that it shall stop.
_BLOCK_MS = 500


def connect(settings: WorkerSettings) -> Redis:
    """Return a client; connects lazily, and again whenever the server was away.

    Raises:
        InvalidField: the URL is none.
    """
    tls: dict[str, Any] = {}
    if settings.redis.startswith("rediss:"):
        files = {
            "ssl_ca_certs": settings.redis_tls_ca,
            "ssl_certfile": settings.redis_tls_certificate,
            "ssl_keyfile": settings.redis_tls_key,
        }
        tls = {name: value for name, value in files.items() if value}
    try:
        client: Redis = Redis.from_url(
            settings.redis,
            protocol=2,
            socket_timeout=settings.redis_timeout_s,
            socket_connect_timeout=settings.redis_timeout_s,
            socket_read_size=256 * 1024,
            health_check_interval=15,
            retry=Retry(NoBackoff(), 0),
            driver_info=None,  # looking its own version up takes 8 ms for each connection
            client_name="lookalike-worker",
            **tls,
        )
    except ValueError:
        # The library's text may quote the URL, and with it the password.
        raise InvalidField("redis", queue.URL_FORM) from None
    return client


class RedisQueue:
    """`embedder_service.worker.ports.Queue` for consumer `settings.name`."""

    def __init__(self, client: Redis, settings: WorkerSettings) -> None:
        self._client = client
        self._settings = settings
        self._name = settings.name
        self._keys = queue.QueueKeys(settings.key_prefix)
        self._send: Callable[..., Awaitable[Any]] = client.execute_command

    async def wait_for_server(self, wait_s: float) -> None:
        """Wait for the server, check that it suits, create the group if missing.

        Raises:
            Unavailable: it cannot be reached in time, is too old, or evicts keys.
        """
        deadline_s = time.monotonic() + wait_s
        while True:
            try:
                with _queue_errors():
                    info = await self._client.info()
                    await self._ensure_group()
                break
            except Unavailable:
                if time.monotonic() >= deadline_s:
                    raise
            await asyncio.sleep(0.1)
        queue.check_server(info)

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
                    "XAUTOCLAIM", self._keys.stream, queue.GROUP, self._name, idle_ms, cursor,
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
                    queue.GROUP, self._name, entry_id,
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
                queue.GROUP, self._name, ttl_ms, len(flat), *flat, *held,
            )  # fmt: skip

    async def drop_dead_consumers(self) -> None:
        """Remove names from the group that show no sign of life and hold nothing.

        Raises:
            Unavailable: the queue cannot be reached.
        """
        idle_ms = int(self._settings.claim_idle_s * 1000)
        with _queue_errors():
            for consumer in await self._client.xinfo_consumers(self._keys.stream, queue.GROUP):
                name = consumer["name"].decode()
                if name == self._name or consumer["pending"] or consumer["idle"] < idle_ms:
                    continue
                await self._send(
                    "EVAL", scripts.DROP_CONSUMER, 2, self._keys.stream, self._keys.worker(name),
                    queue.GROUP, name,
                )  # fmt: skip

    async def release(self, entry_ids: Sequence[str]) -> None:
        """See `Queue.release`."""
        idle_ms = int(self._settings.claim_idle_s * 2000)
        with _queue_errors():
            if entry_ids:
                await self._client.xclaim(
                    self._keys.stream,
                    queue.GROUP,
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
                    "XREADGROUP", "GROUP", queue.GROUP, self._name, "COUNT", count, *wait,
                    "STREAMS", self._keys.stream, after,
                )  # fmt: skip
            except ResponseError as error:
                if not str(error).startswith("NOGROUP"):
                    raise
                await self._ensure_group()  # the server came back empty
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

    async def _ensure_group(self) -> None:
        try:
            await self._client.xgroup_create(self._keys.stream, queue.GROUP, id="0", mkstream=True)
        except ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):
                raise

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
            queue.GROUP,
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
        mutation = queue.decode(fields)
    except queue.EntryDamaged:
        _log.error("unreadable queue entry", extra={"entry": entry_id.decode()})
        mutation = None
    return Entry(entry_id.decode(), queue.counted_bytes(fields), mutation)


@contextlib.contextmanager
def _queue_errors() -> Iterator[None]:
    try:
        yield
    except (RedisError, OSError) as error:
        if isinstance(error, ResponseError):
            _log.error("the queue's server refused", extra={"answer": str(error)[:200]})
        raise Unavailable(
            "the ingestion queue cannot be reached", reason=Reason.QUEUE_UNAVAILABLE
        ) from error
