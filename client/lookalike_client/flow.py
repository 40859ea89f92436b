"""What goes on an ingestion stream next: no socket, no thread, no clock.

A flow holds the items that were handed in and are not answered yet, within a
window. It says what to send, takes answers in, slows down when the service asks
for it, and sends everything unanswered again after a stream broke.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from lookalike.wire.errors import LookalikeError

# First and longest pause after an overload without a delay of the service's own.
FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 15.0

Item_contra = TypeVar("Item_contra", contravariant=True)
Request_co = TypeVar("Request_co", covariant=True)
Response_contra = TypeVar("Response_contra", contravariant=True)
Result_co = TypeVar("Result_co", covariant=True)


class Flow(Protocol[Item_contra, Request_co, Response_contra, Result_co]):
    """What a driver needs of a flow; times are on one monotonic clock."""

    @property
    def idle(self) -> bool:
        """Whether nothing is unanswered."""

    @property
    def on_the_wire(self) -> bool:
        """Whether something was sent on this stream and is unanswered."""

    @property
    def refusal(self) -> LookalikeError | None:
        """The last refusal that asks to try again, if nothing went through since."""

    def room(self) -> bool:
        """Whether another item may be added."""

    def add(self, item: Item_contra) -> Sequence[Result_co]:
        """Add an item; return results that are known without sending."""

    def end_of_input(self) -> None:
        """Say that no item will follow."""

    def next_request(self, now_s: float) -> Request_co | None:
        """Return what to send now, if anything."""

    def wake_in_s(self, now_s: float) -> float | None:
        """Return when `next_request` is worth asking again; None: after an answer."""

    def answered(self, response: Response_contra, now_s: float) -> Sequence[Result_co]:
        """Read an answer; return the results that are final."""

    def broken(self) -> None:
        """Say that the stream is gone: what was sent on it is to be sent again."""


@dataclass(slots=True)
class Brake:
    """Slows sending down after an overload and lets it speed up again.

    The window halves at an overload and grows by one with each answer that is
    well (additive increase, multiplicative decrease, as TCP does it).
    """

    largest: int
    window: float = field(init=False)
    resume_at_s: float = field(default=0.0, init=False)
    refusal: LookalikeError | None = field(default=None, init=False)
    _overloads: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self.window = float(self.largest)

    def overloaded(self, now_s: float, error: LookalikeError, retry_delay_s: float) -> None:
        """Note an overload; a second one within the same pause changes nothing."""
        self.refusal = error
        if now_s < self.resume_at_s:
            return
        backoff_s = min(FIRST_PAUSE_S * 2**self._overloads, LONGEST_PAUSE_S)
        self._overloads += 1
        jitter = random.uniform(1.0, 1.25)  # noqa: S311  # spreads callers; guards nothing
        self.resume_at_s = now_s + max(backoff_s, retry_delay_s) * jitter
        self.window = max(1.0, self.window / 2)

    def fine(self) -> None:
        """Note an answer that shows room."""
        self._overloads, self.refusal = 0, None
        self.window = min(float(self.largest), self.window + 1)
