"""Queues images under the versions that they have in another collection already."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lookalike.serving.queue import entries
from lookalike.serving.queue.connection import Rows, command, queue_errors
from lookalike.serving.queue.entries import EntryDamaged, QueuedMutation

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from lookalike.serving.queue.keys import QueueKeys
    from search_service.ingest.appender import Appender
    from search_service.ingest.ledger import Accepted, Ledger
    from search_service.shard.api import ShardApi


class Copies:
    """The queue, for those who fill a collection from another."""

    def __init__(self, client: Redis, keys: QueueKeys, appender: Appender, ledger: Ledger) -> None:
        self._client = client
        self._keys = keys
        self._appender = appender
        self._ledger = ledger

    async def put(self, shard: ShardApi, mutation: QueuedMutation) -> None:
        """Queue a mutation under the version that it has; for its collection alone.

        Raises:
            Exhausted: the queue is full, too old, or its server out of memory.
            Unavailable: the queue cannot be reached, or the service stops.
        """
        await self._appender.append(shard, mutation)

    def on_their_way(self, uid: str, ids: Sequence[str]) -> dict[str, int]:
        """Return the newest version under which images of `ids` are queued; may read the disk."""
        return self._ledger.queued(uid, ids)

    def changes_queued(self, uid: str) -> int:
        """Return how many deletions and changes of metadata are queued for a collection, of
        which its twin hears once they are committed; may read the disk."""
        return self._ledger.changes_of(uid)

    def is_taken(self, uid: str, version: int) -> bool:
        """Say whether a mutation of that version is queued already; may read the disk."""
        return self._ledger.holds(uid, version)

    def alone(self, uid: str, other_uid: str) -> list[Accepted]:
        """Return what is queued of a collection's images, and not for another one under the
        same versions; may read the disk."""
        return self._ledger.alone(uid, other_uid)

    async def all_queued(self, shard: ShardApi) -> None:
        """Wait until what has a version of a collection is in the queue."""
        await self._appender.version_bound(shard)

    async def image_of(self, row: Accepted) -> QueuedMutation | None:
        """Return what is queued; None where it has ended, or ends as a listed failure.

        Raises:
            Unavailable: the queue cannot be reached.
        """
        with queue_errors():
            found: Rows = await command(
                self._client, "XRANGE", self._keys.lane(row.lane), row.entry, row.entry
            )
        try:
            return entries.decode(found[0][1]) if found else None
        except EntryDamaged:
            return None
