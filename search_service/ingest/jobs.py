"""Outcomes of the mutations of a job, as they come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lookalike.serving.queue import entries
from lookalike.serving.queue.connection import Rows, command, queue_errors
from lookalike.serving.queue.keys import QueueKeys
from lookalike.wire.errors import Exhausted, Reason, Unavailable

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from search_service.ingest.accounts import Accounts
    from search_service.ingest.settings import IngestSettings

_LOOK = 256
_BLOCK_MS = 500


@dataclass(frozen=True, slots=True)
class JobEvent:
    """One outcome: `result` is a serialised `lookalike.v1.MutationResult`."""

    cursor: str
    collection_uid: str
    result: bytes
    remaining: int


class Jobs:
    """Reads the events of jobs, for a bounded number of watchers."""

    def __init__(
        self, client: Redis, keys: QueueKeys, settings: IngestSettings, accounts: Accounts
    ) -> None:
        self._client = client
        self._keys = keys
        self._accounts = accounts
        self._max_watchers = settings.max_watchers
        self._watchers = 0

    async def watch(
        self, job_id: str, cursor: str, draining: asyncio.Event
    ) -> AsyncGenerator[JobEvent, None]:
        """Yield outcomes after `cursor` until all that was accepted has ended.

        `job_id` is the job's name in the queue. A job of which nothing was accepted (yet)
        ends at once.

        Raises:
            InvalidField: a cursor that was not given out here.
            Exhausted: too many watch already.
            Unavailable: the queue cannot be reached, or the service drains; resume
                from the last cursor.
        """
        after = entries.check_stream_id(cursor, field="cursor") if cursor else "0-0"
        if self._watchers >= self._max_watchers:
            raise Exhausted(
                f"{self._watchers:,} calls watch already, as many as may (the search service's "
                "setting max_watchers); try again later"
            )
        self._watchers += 1
        try:
            while True:
                if draining.is_set():
                    raise Unavailable(
                        "the service is stopping", reason=Reason.NOT_READY, retry_delay_s=1.0
                    )
                # Counted first: an outcome and its count are written in one step,
                # so that a reader who counts none remaining finds all outcomes after it.
                remaining = await self._accounts.remaining(job_id)
                events = await self._read(job_id, after, block=remaining > 0)
                if not events and remaining == 0:
                    return
                if events:
                    remaining = await self._accounts.remaining(job_id)
                for entry_id, fields in events:
                    after = entry_id.decode()
                    yield JobEvent(
                        cursor=after,
                        collection_uid=fields[b"u"].decode(),
                        result=fields[b"r"],
                        remaining=remaining,
                    )
        finally:
            self._watchers -= 1

    async def _read(self, job_id: str, after: str, *, block: bool) -> Rows:
        wait = ("BLOCK", _BLOCK_MS) if block else ()
        with queue_errors():
            answer = await command(
                self._client,
                "XREAD",
                "COUNT",
                _LOOK,
                *wait,
                "STREAMS",
                self._keys.job_events(job_id),
                after,
            )
        rows: Rows = answer[0][1] if answer else []
        return rows
