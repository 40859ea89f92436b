"""When deletions may be forgotten."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from typing import TYPE_CHECKING

from lookalike.serving.queue import connection

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from lookalike.serving.queue.keys import QueueKeys
    from search_service.ingest.appender import Appender
    from search_service.ingest.collections import CollectionRef, Collections
    from search_service.ingest.twins import Twins

_log = logging.getLogger(__name__)


class Tombstones:
    """Lets shards forget deletions that nothing older can undo any more.

    A version may still come as long as it is in the queue or in the
    dead-letter list. A worker that was taken for dead may also deliver one that
    another worker has finished meanwhile: so a bound is acted on only after a
    grace, far longer than any delivery takes. Of a collection with a twin nothing is
    forgotten: the twin may come to know of it only after a long time away.
    """

    def __init__(
        self, client: Redis, keys: QueueKeys, appender: Appender, grace_s: float, twins: Twins
    ) -> None:
        self._client = client
        self._keys = keys
        self._appender = appender
        self._grace_s = grace_s
        self._twins = twins
        self._marks: dict[str, deque[tuple[float, int]]] = {}

    async def step(self, collections: Collections) -> None:
        """Note each collection's bound, and act on what was noted long ago.

        Raises:
            Unavailable: the queue cannot be reached.
        """
        now = time.monotonic()
        kept = set(self._twins.uids())
        current = {
            ref.uid: ref for ref in collections.collections() if ref.is_open and ref.uid not in kept
        }
        self._marks = {uid: marks for uid, marks in self._marks.items() if uid in current}
        for uid, ref in current.items():
            marks = self._marks.setdefault(uid, deque())
            marks.append((now, await self._bound(ref.uid, ref)))
            ripe = 0
            while marks and marks[0][0] <= now - self._grace_s:
                ripe = marks.popleft()[1]
            if ripe:
                forgotten = await asyncio.to_thread(ref.shard.prune_tombstones, ripe)
                _log.debug("tombstones forgotten", extra={"uid": uid, "count": forgotten})

    async def _bound(self, uid: str, ref: CollectionRef) -> int:
        bound = await self._appender.version_bound(ref.shard)
        with connection.queue_errors():
            least: list[bytes] = await connection.command(
                self._client, "ZRANGE", self._keys.versions(uid), 0, 0
            )
        return min(bound, int(least[0])) if least else bound
