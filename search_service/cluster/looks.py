"""How one thread looks at something again and again, and others have it look at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


class Looks:
    """Looks are taken by one thread; any other may ask for one."""

    def __init__(self, ask_every_s: float = 0.0) -> None:
        """Nobody waits for a look that is asked for so shortly after another was."""
        self._ask_every_s = ask_every_s
        self._asked_s = -ask_every_s
        self._changed = threading.Condition()
        self._asked = False
        self._began = 0
        self._ended = 0
        self._began_s = 0.0

    def ask(self, within_s: float) -> None:
        """Have a look begin now, and wait for its end; not where one is under way that lasts."""
        with self._changed:
            now_s = time.monotonic()
            under_way = self._began > self._ended
            if under_way and now_s - self._began_s > within_s:
                return
            if now_s - self._asked_s < self._ask_every_s:
                return
            self._asked_s = now_s
            self._asked = True
            wanted = self._began + 1
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._ended >= wanted, within_s)

    @contextmanager
    def next(self, every_s: float) -> Iterator[None]:
        """Wait until a look is asked for, or for so long; the block is the look."""
        with self._changed:
            self._changed.wait_for(lambda: self._asked, every_s)
            self._asked = False
            self._began += 1
            self._began_s = time.monotonic()
        try:
            yield
        finally:
            with self._changed:
                self._ended = self._began
                self._changed.notify_all()
