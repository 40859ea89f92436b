"""Mutations that were given up: listing, trying again, forgetting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lookalike.serving.queue import entries, scripts
from lookalike.serving.queue.connection import Rows, command, full, queue_errors
from lookalike.wire.errors import PageTokenInvalid

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from lookalike.serving.queue.keys import QueueKeys
    from search_service.ingest.settings import IngestSettings

# A failure is listed in about 300 bytes: what one look at the list may cost.
_LOOK = 500


@dataclass(frozen=True, slots=True)
class Failure:
    """A mutation that was given up; `reason` is a number of `ErrorReason`."""

    failure_id: str
    entry_id: str
    collection_uid: str
    id: str
    version: int
    job_id: str
    reason: int
    message: str
    field: str
    retryable: bool
    attempts: int
    fail_time_ms: int


class Failures:
    """The dead-letter stream. Its entries describe the mutations, without pictures;
    the mutations themselves are kept in hashes beside it, so that listing is cheap."""

    def __init__(self, client: Redis, keys: QueueKeys, settings: IngestSettings) -> None:
        self._client = client
        self._keys = keys
        self._settings = settings

    async def page(
        self, collection_uid: str, page_size: int, page_token: str
    ) -> tuple[list[Failure], str]:
        """Return a page, newest first, and the next page's token ("" on the last).

        Raises:
            PageTokenInvalid: `page_token` was not given out by this listing.
            Unavailable: the queue cannot be reached.
        """
        newest = f"({_page_start(collection_uid, page_token)}" if page_token else "+"
        found: list[Failure] = []
        while True:
            with queue_errors():
                rows: Rows = await command(
                    self._client, "XREVRANGE", self._keys.dead, newest, "-", "COUNT", _LOOK
                )
            for entry_id, fields in rows:
                failure = _read(entry_id, fields)
                if collection_uid and failure.collection_uid != collection_uid:
                    continue
                if len(found) == page_size:
                    return found, f"{found[-1].failure_id}/{collection_uid}"
                found.append(failure)
            if len(rows) < _LOOK:
                return found, ""
            newest = f"({rows[-1][0].decode()}"

    async def retry(self, failure_ids: Sequence[str]) -> tuple[int, list[str]]:
        """Queue failures again; return how many, and the ids that are not there.

        Raises:
            InvalidField: an id has another form.
            Exhausted: the queue is full; those before it were queued: call again.
            Unavailable: the queue cannot be reached.
        """
        for failure_id in failure_ids:
            entries.check_stream_id(failure_id, field="failure_ids")
        retried = 0
        missing: list[str] = []
        for failure_id in failure_ids:
            with queue_errors():
                rows = await self._oldest(failure_id, failure_id, 1)
                answer = await self._retry(_read(*rows[0])) if rows else b"MISSING"
            if answer == b"FULL":
                raise full("the queue is full; try the rest again later")
            if answer == b"OK":
                retried += 1
            else:
                missing.append(failure_id)
        return retried, missing

    async def forget_old(self, now_ms: int) -> int:
        """Forget failures past the retention, oldest first; return how many.

        Raises:
            Unavailable: the queue cannot be reached.
        """
        oldest_kept_ms = now_ms - int(self._settings.failure_retention_s * 1000)
        with queue_errors():
            rows = await self._oldest("-", str(max(0, oldest_kept_ms)), _LOOK)
            excess = await self._client.xlen(self._keys.dead) - self._settings.max_failures
            if excess > len(rows):
                rows = await self._oldest("-", "+", min(_LOOK, excess))
            for entry_id, fields in rows:
                failure = _read(entry_id, fields)
                await self._client.eval(
                    scripts.FORGET,
                    4,
                    self._keys.dead,
                    self._keys.dead_entry(failure.entry_id),
                    self._keys.dead_bytes,
                    self._keys.versions(failure.collection_uid),
                    failure.failure_id,
                    failure.version,
                )
        return len(rows)

    async def _oldest(self, start: str, end: str, count: int) -> Rows:
        rows: Rows = await command(
            self._client, "XRANGE", self._keys.dead, start, end, "COUNT", count
        )
        return rows

    async def _retry(self, failure: Failure) -> bytes:
        keys, job = self._keys, failure.job_id
        answer: bytes = await self._client.eval(
            scripts.RETRY,
            6,
            keys.dead,
            keys.dead_entry(failure.entry_id),
            keys.dead_bytes,
            keys.stream,
            keys.stream_bytes,
            keys.job(job) if job else keys.stream,
            failure.failure_id,
            self._settings.max_queue_bytes,
            int(self._settings.job_retention_s * 1000) if job else 0,
        )
        return answer


def _page_start(collection_uid: str, page_token: str) -> str:
    start, separator, uid = page_token.partition("/")
    if not separator or uid != collection_uid or not entries.is_stream_id(start):
        raise PageTokenInvalid
    return start


def _read(entry_id: bytes, fields: Mapping[bytes, bytes]) -> Failure:
    def text(name: bytes) -> str:
        return fields.get(name, b"").decode(errors="replace")

    return Failure(
        failure_id=entry_id.decode(),
        entry_id=text(b"e"),
        collection_uid=text(b"u"),
        id=text(b"i"),
        version=int(fields.get(b"v", 0)),
        job_id=text(b"j"),
        reason=int(fields.get(b"r", 0)),
        message=text(b"m"),
        field=text(b"f"),
        retryable=fields.get(b"y") == b"1",
        attempts=int(fields.get(b"a", 0)),
        fail_time_ms=int(entry_id.split(b"-")[0]),
    )
