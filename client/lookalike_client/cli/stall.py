"""Says why an index run stands still."""

from __future__ import annotations

import time
from collections.abc import Callable

from lookalike.wire.errors import LookalikeError
from lookalike_client.indexing.ledger import Tally
from lookalike_client.types import IngestStatus

# Longer than a restart of any part takes, so that one is not worth a word.
STILL_S = 15.0


class StallWatch:
    """Asks for the state of ingestion when nothing has moved for a while.

    `status` is the service's; `now_s` a monotonic clock.
    """

    def __init__(
        self, status: Callable[[], IngestStatus], now_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._status, self._now_s = status, now_s
        self._last: Tally | None = None
        self._asked_s = now_s()
        self._reason = ""

    def reason(self, tally: Tally) -> str:
        """Return why nothing moves, in a few words; empty while something does."""
        now_s = self._now_s()
        if tally != self._last:
            self._last, self._asked_s, self._reason = tally, now_s, ""
        elif now_s - self._asked_s >= STILL_S:
            self._asked_s, self._reason = now_s, self._ask()
        return self._reason

    def _ask(self) -> str:
        try:
            status = self._status()
        except LookalikeError as error:
            return f"waiting for the service: {error.message}"
        return reason_of(status)


def reason_of(status: IngestStatus) -> str:
    """Say why nothing that is queued is done, in a few words; empty where workers work."""
    if not status.workers:
        return "waiting for a worker: none is running"
    paused = [worker.paused_reason for worker in status.workers if worker.paused_reason]
    if len(paused) == len(status.workers):
        return f"the worker waits: {paused[0]}"
    return ""
