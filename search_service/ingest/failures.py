"""Mutations that were given up: listing, trying again, forgetting."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lookalike.serving.queue import endings, entries, jobs
from lookalike.serving.queue.connection import Rows, command, full, queue_errors
from lookalike.serving.queue.entries import Kind, QueuedMutation
from lookalike.wire.errors import PageTokenInvalid, Reason
from search_service.ingest.stored import Sent

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from lookalike.serving.queue.keys import QueueKeys
    from search_service.ingest.ledger import Ledger
    from search_service.ingest.settings import IngestSettings
    from search_service.ingest.stored import StoredVersions

# A failure is listed in about 300 bytes: what one look at the list may cost.
_LOOK = 500
# Failures that are looked at to count a tenant's own: a few megabytes, as often as it asks.
_MOST_COUNTED = 10_000


@dataclass(frozen=True, slots=True)
class Failure:
    """A mutation that was given up; `reason` is a number of `ErrorReason`.

    `near_id` and `near_score` name what it looks like, where it is kept out for that.
    """

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
    near_id: str = ""
    near_score: float = 0.0


class Failures:
    """The dead-letter stream. Its entries describe the mutations, without pictures;
    the mutations themselves are kept in hashes beside it, so that listing is cheap."""

    def __init__(
        self,
        client: Redis,
        keys: QueueKeys,
        settings: IngestSettings,
        stored: StoredVersions,
        ledger: Ledger,
    ) -> None:
        self._client = client
        self._keys = keys
        self._settings = settings
        self._stored = stored
        self._ledger = ledger
        self._sweep_from = "+"

    async def page(
        self, collection_uid: str, page_size: int, page_token: str, tenant: str = ""
    ) -> tuple[list[Failure], str]:
        """Return a page, newest first, and the next page's token ("" on the last).

        With the mark of a `tenant` only its own are listed.

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
            wanted = [row for row in rows if _is_of(_read(*row), collection_uid, tenant)]
            for failure in await self._unsettled(wanted):
                if len(found) == page_size:
                    return found, f"{found[-1].failure_id}/{collection_uid}"
                found.append(failure)
            if len(rows) < _LOOK:
                return found, ""
            newest = f"({rows[-1][0].decode()}"

    async def retry(
        self,
        failure_ids: Sequence[str],
        duplicate_policy: int,
        seen: Callable[[Failure], bool],
    ) -> tuple[int, list[str]]:
        """Queue failures again; return how many, and the ids that are not there.

        What is not `seen` by the caller is not there.

        `duplicate_policy` is a number of `lookalike.v1.DuplicatePolicy`, 0 for what they
        were submitted with. What a newer version of the item has settled is not there.

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
            found = [one for one in await self._unsettled(rows) if seen(one)]
            answer = await self._retry(found[0], duplicate_policy) if found else b"MISSING"
            if answer == b"FULL":
                raise full(
                    f"the queue is full: it holds {self._settings.max_queue_bytes:,} bytes (the "
                    "search service's setting max_queue_bytes); try the rest again later"
                )
            if answer == b"MISSING":
                missing.append(failure_id)
            else:
                retried += 1
        return retried, missing

    async def count(self, tenant: str) -> tuple[int, int]:
        """Return how many are a tenant's, and how many of those were lost, of the newest
        `_MOST_COUNTED` of everybody's.

        Raises:
            Unavailable: the queue cannot be reached.
        """
        newest = "+"
        own: list[Failure] = []
        for _ in range(_MOST_COUNTED // _LOOK):
            with queue_errors():
                rows: Rows = await command(
                    self._client, "XREVRANGE", self._keys.dead, newest, "-", "COUNT", _LOOK
                )
            own += [one for row in rows if jobs.belongs(tenant, (one := _read(*row)).job_id)]
            if len(rows) < _LOOK:
                break
            newest = f"({rows[-1][0].decode()}"
        return len(own), sum(one.reason == Reason.INGEST_LOST for one in own)

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
                await self._forget(_read(entry_id, fields))
        return len(rows)

    async def sweep(self) -> None:
        """Forget those on the next stretch of the list that a newer version has settled,
        whichever way that came.

        Raises:
            Unavailable: the queue cannot be reached.
        """
        with queue_errors():
            rows: Rows = await command(
                self._client, "XREVRANGE", self._keys.dead, self._sweep_from, "-", "COUNT", _LOOK
            )
        await self._unsettled(rows)
        self._sweep_from = f"({rows[-1][0].decode()}" if len(rows) == _LOOK else "+"

    async def _unsettled(self, rows: Rows) -> list[Failure]:
        """Return failures whose items have no newer version, nor the very one; forget the
        others."""
        failures = [_read(entry_id, fields) for entry_id, fields in rows]
        sent = [Sent(one.collection_uid, one.id, one.job_id) for one in failures]
        stored = await asyncio.to_thread(self._stored.of, sent)
        left = []
        for one, each in zip(failures, sent, strict=True):
            if stored.get(each, -1) < one.version:
                left.append(one)
            else:
                with queue_errors():
                    await self._forget(one)
        return left

    async def _forget(self, failure: Failure) -> None:
        uid = failure.collection_uid
        await self._client.eval(
            endings.FORGET,
            4,
            self._keys.dead,
            self._keys.dead_bytes,
            self._keys.versions(uid),
            self._keys.failed(uid),
            failure.failure_id,
        )

    async def _oldest(self, start: str, end: str, count: int) -> Rows:
        rows: Rows = await command(
            self._client, "XRANGE", self._keys.dead, start, end, "COUNT", count
        )
        return rows

    async def _retry(self, failure: Failure, duplicate_policy: int) -> bytes:
        keys, name, uid = self._keys, failure.job_id, failure.collection_uid
        job = name if jobs.followed(name) else ""
        # Noted before, as with all that is queued: a worker may be done with it at once.
        noted = QueuedMutation(
            uid, failure.id, Kind.UPLOAD, failure.version, int(time.time() * 1000), name
        )
        lane = (await asyncio.to_thread(self._ledger.begin, [noted]))[0]
        answer: bytes = b"MISSING"
        try:
            with queue_errors():
                answer = await self._client.eval(
                    endings.RETRY,
                    7,
                    keys.dead,
                    keys.dead_entry(failure.entry_id),
                    keys.dead_bytes,
                    keys.lane(lane),
                    keys.stream_bytes,
                    keys.job(job) if job else keys.stream,
                    keys.failed(uid),
                    failure.failure_id,
                    self._settings.max_queue_bytes,
                    int(self._settings.job_retention_s * 1000) if job else 0,
                    jobs.item_of(name, failure.id),
                    duplicate_policy,
                )
        finally:
            await asyncio.shield(asyncio.to_thread(self._note, uid, failure.version, answer))
        return answer

    def _note(self, uid: str, version: int, answer: bytes) -> None:
        if answer in (b"MISSING", b"FULL"):
            self._ledger.end([(uid, version)])
        else:
            self._ledger.confirm([(uid, version, answer.decode())])


def _is_of(failure: Failure, collection_uid: str, tenant: str) -> bool:
    """Say whether a failure is of a collection, "" for any, and of a tenant."""
    return failure.collection_uid == (collection_uid or failure.collection_uid) and jobs.belongs(
        tenant, failure.job_id
    )


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
        near_id=text(b"d"),
        near_score=float(fields.get(b"s", 0.0)),
    )
