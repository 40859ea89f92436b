"""Who may come in: overload is refused at the door, at once."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass

from embedder_service.lanes import Lane
from embedder_service.pace import Pace
from lookalike.wire.errors import Exhausted

# Callers are told to come back after the queue's own time, within these bounds.
_LEAST_RETRY_S = 0.1
_MOST_RETRY_S = 30.0
# An image is let in only when the queue before it should take this much less than
# its deadline: one that is let in and then expires has cost a decode for nothing.
_MARGIN = 1.5


@dataclass(frozen=True, slots=True)
class AdmissionOptions:
    """Bounds on what is inside at one time, from arrival to answer."""

    max_queued_images: int
    max_bytes_in_flight: int


class Admission:
    """Counts images and bytes for one encoder; each lane has its own bound."""

    def __init__(self, options: AdmissionOptions, pace: Pace) -> None:
        self._options = options
        self._pace = pace
        self._images = dict.fromkeys(Lane, 0)
        self._bytes = 0

    def inside(self, lane: Lane) -> int:
        """Return how many images of `lane` are inside."""
        return self._images[lane]

    @contextlib.contextmanager
    def admit(self, lane: Lane, size_bytes: int, deadline_s: float | None) -> Iterator[None]:
        """Count one image in for as long as the context lasts.

        Raises:
            Exhausted: the lane is full, or its queue is longer than the caller's
                deadline: better to hear that now than after waiting.
        """
        expected_s = self._images[lane] * self._pace.seconds_per_image
        retry_s = min(max(expected_s, _LEAST_RETRY_S), _MOST_RETRY_S)
        if self._images[lane] >= self._options.max_queued_images:
            raise Exhausted("the embedding queue is full; try again later", retry_delay_s=retry_s)
        held = self._bytes + size_bytes
        if self._bytes and held > self._options.max_bytes_in_flight:
            raise Exhausted(
                "the images under way hold too many bytes; try again later", retry_delay_s=retry_s
            )
        if deadline_s is not None and _MARGIN * expected_s > deadline_s - time.monotonic():
            raise Exhausted(
                "the embedding queue is longer than the deadline allows; try again later",
                retry_delay_s=retry_s,
            )
        self._images[lane] += 1
        self._bytes += size_bytes
        try:
            yield
        finally:
            self._images[lane] -= 1
            self._bytes -= size_bytes
