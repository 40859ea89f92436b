"""Images that were queued for the source of a pair before there was a pair."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from lookalike.wire.errors import Exhausted
from search_service.ingest.twins import copy_for_twin
from search_service.reembedding.comparing import NOTHING
from search_service.reembedding.pairs import Pair, Pairs, twinned

if TYPE_CHECKING:
    from lookalike.serving.queue.entries import QueuedMutation
    from search_service.catalog.collection import Collection
    from search_service.ingest.copies import Copies
    from search_service.ingest.ledger import Accepted

_IDS_AT_ONCE = 500
# Each holds an item with its pictures. An append waits behind what writers send, and one
# round trip carries what came meanwhile: one after another, a copy took a round trip each.
_AT_ONCE = 16
_AGAIN_AFTER_S = 0.2


class Backlog:
    """Queues them for the target, too, as far as there is room.

    What ends before it is queued is stored in the source alone, and counts as missing.
    """

    def __init__(self, pairs: Pairs, copies: Copies) -> None:
        self._pairs = pairs
        self._copies = copies
        self._under_way: set[Pair] = set()

    def left(self, source: Collection, target: Collection) -> list[Accepted]:
        """Return what is queued for the source alone, and would be new to the target; may
        read the disk.

        Raises:
            StoreDamaged, Unavailable: the target's store cannot be read.
        """
        rows = self._copies.alone(source.uid, target.uid)
        found: list[Accepted] = []
        for start in range(0, len(rows), _IDS_AT_ONCE):
            some = rows[start : start + _IDS_AT_ONCE]
            held = twinned(target).registers.of([row.id for row in some])
            for row in some:
                registers = held.get(row.id, NOTHING)
                if row.version > max(registers.vector, registers.delete):
                    found.append(row)
        return found

    async def copy(self, source: Collection, target: Collection, within_s: float) -> None:
        """Queue them until none are left, or the time is over: the pair ends no later for
        that. Where another call does so already, this one leaves it to that.

        Raises:
            Unavailable: the queue cannot be reached, or the service stops.
        """
        pair = Pair(source.uid, target.uid)
        if pair in self._under_way:
            return
        self._under_way.add(pair)
        try:
            await self._copies.all_queued(source.shard)
            rows = iter(await asyncio.to_thread(self.left, source, target))
            give_up_s = time.monotonic() + within_s
            ended = await asyncio.gather(
                *(self._take(rows, pair, target, give_up_s) for _ in range(_AT_ONCE)),
                return_exceptions=True,
            )
            for error in ended:
                if error is not None:
                    raise error
        finally:
            self._under_way.discard(pair)

    async def _take(
        self, rows: Iterator[Accepted], pair: Pair, target: Collection, give_up_s: float
    ) -> None:
        for row in rows:
            mutation = await self._copies.image_of(row)
            copy = None if mutation is None else copy_for_twin(mutation, self._pairs.twin_of)
            if copy is None or await self._put(
                pair, target, replace(copy, traceparent=""), give_up_s
            ):
                continue
            return

    async def _put(
        self, pair: Pair, target: Collection, copy: QueuedMutation, give_up_s: float
    ) -> bool:
        """Say whether it was queued, before the time was over or the pair."""
        while time.monotonic() < give_up_s and self._pairs.of(pair.source) == pair:
            try:
                await self._copies.put(target.shard, copy)
            except Exhausted:  # there is no room now
                await asyncio.sleep(_AGAIN_AFTER_S)
            else:
                return True
        return False
