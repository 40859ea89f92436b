"""Waiting for another process, with a bound."""

import time
from collections.abc import Callable


def eventually(holds: Callable[[], bool], within_s: float = 20) -> None:
    """Return when `holds` does; fail when it does not within the time."""
    deadline_s = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline_s, "did not come true in time"
        time.sleep(0.02)
