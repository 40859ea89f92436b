"""Holds the queue against the ledger: what ended, and what is gone without an end."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lookalike.serving.queue import endings, jobs, scripts
from lookalike.serving.queue.connection import command, queue_errors
from lookalike.v1 import search_pb2
from lookalike.wire.errors import Reason, Unavailable
from lookalike.wire.status import to_item_error
from search_service.ingest.status import QueueState, read_queue
from search_service.ingest.stored import Sent

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from lookalike.serving.queue.keys import QueueKeys
    from search_service.ingest.ledger import Accepted, Ledger
    from search_service.ingest.metrics import IngestMetrics
    from search_service.ingest.settings import IngestSettings
    from search_service.ingest.stored import StoredVersions

_log = logging.getLogger(__name__)

_LOOK = 1000
# Ids that one script looks up: each reads an entry with its picture.
_LOOK_UP = 100
_MOST_EVENTS = 1_000_000
# What a worker has in hand when the server forgets its entries is stored all the same,
# and it says so: nothing is called lost before it had time to.
LOSS_GRACE_S = 5.0


class Accounts:
    """Keeps the ledger in step with the queue, and finds what is missing from both."""

    def __init__(
        self,
        client: Redis,
        keys: QueueKeys,
        settings: IngestSettings,
        ledger: Ledger,
        stored: StoredVersions,
        metrics: IngestMetrics,
    ) -> None:
        self._client = client
        self._keys = keys
        self._ledger = ledger
        self._stored = stored
        self._metrics = metrics
        self._job_ttl_ms = int(settings.job_retention_s * 1000)
        self._gone_since: dict[tuple[str, int], float] = {}
        self._order = asyncio.Lock()

    async def remaining(self, job_id: str) -> int:
        """Return how many mutations of a job have not ended: those that the queue knows
        of or, where it forgot some, those that the ledger does.

        Raises:
            Unavailable: the queue cannot be reached.
        """
        await self.note_ended()
        with queue_errors():
            accepted, ended = await self._client.hmget(
                self._keys.job(job_id), ["accepted", "ended"]
            )
        known = await asyncio.to_thread(self._ledger.open_of, job_id)
        return max(0, known, int(accepted or 0) - int(ended or 0))

    async def note_ended(self) -> None:
        """Take out of the ledger what has ended.

        Raises:
            Unavailable: the queue cannot be reached.
        """
        async with self._order:
            while True:
                with queue_errors():
                    ended: list[bytes] = await command(
                        self._client, "LRANGE", self._keys.ended, 0, _LOOK - 1
                    )
                if not ended:
                    return
                told = [_read_ended(one) for one in ended]
                for (uid, version), result in told:
                    if not result:
                        continue
                    # The entry was gone when its outcome came: nobody was told of it yet.
                    for row in await asyncio.to_thread(self._ledger.end, [(uid, version)]):
                        await self._settle(row, result)
                await asyncio.to_thread(self._ledger.end, [key for key, _ in told])
                with queue_errors():
                    await self._client.ltrim(self._keys.ended, len(ended), -1)

    async def look(self) -> tuple[QueueState, bool]:
        """Read the state of the queue, and say whether fewer are in it or have ended than
        the ledger has: then something is gone.

        Raises:
            Unavailable: the queue cannot be reached.
        """
        async with self._order:  # nothing may be taken off `ended` in between
            known = self._ledger.open
            state = await read_queue(self._client, self._keys)
        return state, known > state.depth + state.ended

    async def find_lost(self, *, suspected: bool) -> None:
        """Look for what is gone, and tell it when it has been for a while.

        Raises:
            Unavailable: the queue cannot be reached.
        """
        await self.note_ended()
        if not suspected and not self._gone_since:
            return
        gone = await self._gone()
        await self.note_ended()
        now_s = time.monotonic()
        self._gone_since = {key: self._gone_since.get(key, now_s) for key in gone}
        ripe = [row for key, row in gone.items() if now_s - self._gone_since[key] >= LOSS_GRACE_S]
        if ripe:
            await self._tell_lost(ripe)

    async def _gone(self) -> dict[tuple[str, int], Accepted]:
        by_lane: dict[int, dict[str, Accepted]] = {}
        rows = await asyncio.to_thread(self._ledger.rows)
        # Looking up is dear, for the server reads pictures: once for all, then for those.
        for row in rows:
            if self._gone_since and (row.uid, row.version) not in self._gone_since:
                continue
            by_lane.setdefault(row.lane, {})[row.entry] = row
        gone: dict[tuple[str, int], Accepted] = {}
        for lane, entries in by_lane.items():
            ids = list(entries)
            for start in range(0, len(ids), _LOOK_UP):
                with queue_errors():
                    missing: list[bytes] = await self._client.eval(
                        scripts.MISSING, 1, self._keys.lane(lane), *ids[start : start + _LOOK_UP]
                    )
                for entry in missing:
                    row = entries[entry.decode()]
                    gone[row.uid, row.version] = row
        return gone

    async def _tell_lost(self, rows: Sequence[Accepted]) -> None:
        lost = 0
        for row in rows:
            self._gone_since.pop((row.uid, row.version), None)
            sent = Sent(row.uid, row.id, row.job)
            stored = (await asyncio.to_thread(self._stored.of, [sent])).get(sent, 0)
            if stored >= row.version:
                for ended in await asyncio.to_thread(self._ledger.end, [(row.uid, row.version)]):
                    await self._settle(ended, _stored(row, stored).SerializeToString())
            elif await asyncio.to_thread(self._ledger.lose, row):
                lost += 1
                await self._settle_lost(row)
        if lost:
            self._metrics.lost.inc(lost)
            _log.error(
                "the queue's server lost accepted mutations: send them again",
                extra={"count": lost, "first": rows[0].id},
            )

    async def _settle_lost(self, row: Accepted) -> None:
        error = Unavailable(
            "the queue's server lost this before it was stored: send it again",
            reason=Reason.INGEST_LOST,
        )
        result = search_pb2.MutationResult(
            id=row.id, version=row.version, error=to_item_error(error)
        )
        listed: list[str | bytes | int] = [
            *("e", "lost", "a", 0, "u", row.uid, "i", row.id, "v", row.version, "j", row.job),
            *("r", int(error.reason), "m", error.message, "f", "", "y", 1),
        ]
        await self._settle(row, result.SerializeToString(), listed)

    async def _settle(
        self, row: Accepted, result: bytes, listed: Sequence[str | bytes | int] = ()
    ) -> None:
        """Tell a job the outcome of a mutation that left the ledger; list it if told so."""
        keys, job = self._keys, row.job if jobs.followed(row.job) else ""
        with queue_errors():
            await self._client.eval(
                endings.SETTLE,
                4,
                keys.job(job) if job else keys.stream,
                keys.job_events(job) if job else keys.stream,
                keys.dead,
                keys.failed(row.uid),
                self._job_ttl_ms if job else 0,
                _MOST_EVENTS,
                row.uid,
                result,
                jobs.item_of(row.job, row.id),
                *listed,
            )


def _read_ended(text: bytes) -> tuple[tuple[str, int], bytes]:
    uid, version, *rest = text.split(b" ", 2)
    return (uid.decode(), int(version)), rest[0] if rest else b""


def _stored(row: Accepted, version: int) -> search_pb2.MutationResult:
    status = (
        search_pb2.MUTATION_STATUS_APPLIED
        if version == row.version
        else search_pb2.MUTATION_STATUS_SUPERSEDED
    )
    return search_pb2.MutationResult(id=row.id, status=status, version=version)
