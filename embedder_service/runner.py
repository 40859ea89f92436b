"""A loaded network with a thread for each of its slots.

The threads take their work themselves, the moment they are free. When the event
loop handed out each batch, a loop that was busy refusing calls kept the cores
waiting: a tenth of the machine under ten times too much load.

The contract with a runtime: same length, same order; checked after every batch.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

import numpy as np

from embedder_service.lanes import Lane, Lanes, Ticket, expire
from embedder_service.preprocess import U8
from embedder_service.runtimes.protocol import Runtime
from lookalike.wire.vectors import F32, LEAST_NORM

Work: TypeAlias = Ticket[U8, F32]


class BatchFault(Exception):
    """A runtime returned something else than one finite vector an image."""


class RunnerOwner(Protocol):
    """Hears of every batch, on the event loop."""

    def batch_done(self, batch: Batch, vectors: F32) -> None:
        """`vectors`: float32 [B, D], unit L2."""

    def batch_failed(self, runner: Runner, batch: Batch, error: Exception) -> None:
        """Whatever the runtime died of."""


@dataclass(slots=True, eq=False)
class Batch:
    """Images that go through the network together."""

    tickets: list[Work]
    slot: int | None
    started_s: float = field(default_factory=time.monotonic)


class Runner:
    """One loaded network, its queue and its threads; made on the event loop."""

    def __init__(
        self, runtime: Runtime, owner: RunnerOwner, most_images: Callable[[], int]
    ) -> None:
        self.runtime = runtime
        self._owner = owner
        self._most_images = most_images
        self._loop = asyncio.get_running_loop()
        # Guards all below, which the loop and the slots' threads share.
        self._changed = threading.Condition()
        self._lanes: Lanes[U8, F32] = Lanes(lambda ticket: self._tell(expire, ticket))
        self._at_work: list[Batch] = []
        self._closed = False
        for slot in range(runtime.slots):
            # No exit of the process waits for a runtime that is stuck.
            threading.Thread(
                target=self._work, args=(slot,), name=f"runner-{slot}", daemon=True
            ).start()

    def put(self, ticket: Work) -> None:
        """Queue one image."""
        with self._changed:
            self._lanes.put(ticket)
            self._changed.notify()

    def depth(self, lane: Lane) -> int:
        """Return how many images wait."""
        with self._changed:
            return self._lanes.depth(lane)

    def longest_s(self) -> float:
        """Return how long the oldest batch has been at work, 0 for none."""
        with self._changed:
            return max((time.monotonic() - batch.started_s for batch in self._at_work), default=0.0)

    def close(self) -> list[Work]:
        """Start no more work; return every ticket that is waiting or at work."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            working = [ticket for batch in self._at_work for ticket in batch.tickets]
            return [*working, *self._lanes.drain()]

    def _work(self, slot: int) -> None:
        while (batch := self._take(slot)) is not None:
            try:
                pixels = np.stack([ticket.work for ticket in batch.tickets])
                vectors = unit_vectors(self.runtime.infer(pixels, batch.slot), len(pixels))
            except Exception as error:  # noqa: BLE001 - whatever the runtime dies of: its callers hear
                self._tell(self._owner.batch_failed, self, batch, error)
            else:
                self._tell(self._owner.batch_done, batch, vectors)
            with self._changed:
                self._at_work.remove(batch)
                if batch.slot is None:
                    self._changed.notify_all()

    def _take(self, slot: int) -> Batch | None:
        """Wait for work; None when there will be no more."""
        with self._changed:
            while not self._closed:
                if not self._is_taken_whole():
                    waiting = sum(self._lanes.depth(lane) for lane in Lane)
                    tickets = self._lanes.take(self._most_images())
                    if tickets:
                        # One image that finds the device idle has all of it.
                        alone = waiting == 1 and not self._at_work
                        batch = Batch(tickets, None if alone else slot)
                        self._at_work.append(batch)
                        return batch
                self._changed.wait()
        return None

    def _is_taken_whole(self) -> bool:
        return any(batch.slot is None for batch in self._at_work)

    def _tell(self, call: Callable[..., None], *arguments: object) -> None:
        """Call on the event loop; nobody is left to hear when that has ended."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(call, *arguments)


def unit_vectors(features: F32, images: int) -> F32:
    """Return float32 [images, D] of unit L2 norm.

    Raises:
        BatchFault: another number of vectors, NaN, infinity, or no direction.
    """
    if features.ndim != 2 or len(features) != images:
        raise BatchFault(f"{images} images gave an array of shape {features.shape}")
    norms = np.linalg.norm(features.astype(np.float64), axis=1, keepdims=True)
    if not np.isfinite(norms).all() or (norms < LEAST_NORM).any():
        raise BatchFault("a vector is not finite or has no direction")
    units: F32 = (features / norms).astype(np.float32)
    return units
