"""Entries that were delivered before, or under which something broke."""

from __future__ import annotations

import asyncio
import itertools
import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from embedder_service.worker import traced
from embedder_service.worker.next_step import NextStep, next_step_after
from embedder_service.worker.protocols import Entry, PeerLost, Queue
from lookalike.serving.queue.entries import EntryDamaged
from lookalike.wire.errors import LookalikeError, Reason, Unavailable

if TYPE_CHECKING:
    from embedder_service.worker.acknowledger import Acknowledger
    from embedder_service.worker.applier import Applier
    from embedder_service.worker.in_hand import InHand
    from embedder_service.worker.metrics import WorkerMetrics
    from embedder_service.worker.turnstile import Turnstile

_log = logging.getLogger(__name__)

# To be alone all others must have left, which costs the others about the time of
# the images in flight: so a few go in one turn.
_MAX_TURN = 16
_GATHER_S = 0.25
_RETRY_S = 0.5


class AloneRunner:
    """Tries entries one by one with nothing else under way, counts, gives up."""

    def __init__(
        self,
        queue: Queue,
        in_hand: InHand,
        turnstile: Turnstile,
        applier: Applier,
        acknowledger: Acknowledger,
        metrics: WorkerMetrics,
        max_attempts: int,
    ) -> None:
        self._queue = queue
        self._in_hand = in_hand
        self._turnstile = turnstile
        self._applier = applier
        self._acknowledger = acknowledger
        self._metrics = metrics
        self._max_attempts = max_attempts
        # Bounded by what is in hand. Fewest attempts first: the first in line is
        # met by every service that happens to die, and would soon be given up for it.
        self._waiting: asyncio.PriorityQueue[tuple[int, int, Entry]] = asyncio.PriorityQueue()
        self._numbers = itertools.count()

    def put(self, entry: Entry) -> None:
        """Let an entry run alone."""
        self._waiting.put_nowait((entry.attempts, next(self._numbers), entry))

    async def run(self) -> None:
        """Run until cancelled."""
        while True:
            first = await self._waiting.get()
            await self._applier.wait_ready()
            if self._turnstile.busy:
                await asyncio.sleep(_GATHER_S)
            self._waiting.put_nowait(first)
            async with self._turnstile.alone():
                for _ in range(min(_MAX_TURN, self._waiting.qsize())):
                    entry = self._waiting.get_nowait()[2]
                    with traced.of(entry):
                        await self._try(entry)

    async def _try(self, entry: Entry) -> None:
        if entry.mutation is None:
            self._acknowledger.give_up(entry, EntryDamaged(), 1)
            return
        try:
            attempts = await self._queue.begin_attempt(entry)
        except Unavailable:
            self._again(entry, _RETRY_S)
            return
        if attempts == 0:
            self._in_hand.remove(entry)  # another worker took it over
            return
        if attempts > self._max_attempts:
            self._acknowledger.give_up(entry, _gave_up(attempts - 1), attempts - 1)
            return
        self._metrics.alone.inc()
        try:
            result = await self._applier.apply(entry.mutation, entry.owner)
        except asyncio.CancelledError:
            await self._take_back(entry)
            raise
        except LookalikeError as error:
            self._judge(entry, error, attempts)
        except Exception:  # noqa: BLE001 - counted, and given up in the end
            _log.exception("cannot work on an entry", extra={"entry": entry.entry_id})
            self._judge(entry, _gave_up(attempts), attempts)
        else:
            self._acknowledger.finish(entry, result)

    def _judge(self, entry: Entry, error: LookalikeError, attempts: int) -> None:
        if next_step_after(error) is NextStep.GIVE_UP:
            self._acknowledger.give_up(entry, error, attempts)
        elif attempts < self._max_attempts:
            self._again(replace(entry, attempts=attempts), _RETRY_S * attempts)
        else:
            last = _gave_up(attempts) if isinstance(error, PeerLost) else error
            self._acknowledger.give_up(entry, last, attempts)

    def _again(self, entry: Entry, delay_s: float) -> None:
        asyncio.get_running_loop().call_later(delay_s, self.put, entry)

    async def _take_back(self, entry: Entry) -> None:
        try:
            await self._queue.take_back_attempt(entry)
        except Unavailable:
            _log.warning("an attempt that was broken off stays counted")


def _gave_up(attempts: int) -> LookalikeError:
    return LookalikeError(
        f"a service stopped each of the {attempts} times that this was tried alone; "
        "look at the image before trying it again",
        reason=Reason.INTERNAL,
    )
