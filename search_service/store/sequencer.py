"""Versions: they grow over all mutations of a collection, across crashes too."""

from __future__ import annotations

import threading

# Each extension is one commit; a crash wastes at most this many of 2**62.
BLOCK_VERSIONS = 65_536


class Sequencer:
    """Hands out versions below a bound that the store holds durably.

    The writer raises the bound: it writes `proposal(...)` and, once that is
    committed, calls `extend`.
    """

    def __init__(self, upto: int) -> None:
        """Start at `upto`, the bound that the store holds."""
        self._lock = threading.Lock()
        self._next = upto
        self._upto = upto

    @property
    def upto(self) -> int:
        """The bound: what was handed out is below."""
        with self._lock:
            return self._upto

    def take(self, count: int) -> range | None:
        """Hand out `count` versions; None where the bound must be raised first."""
        with self._lock:
            if self._next + count > self._upto:
                return None
            self._next += count
            return range(self._next - count, self._next)

    def proposal(self, count: int, seen: int) -> int | None:
        """Return the bound to write before `count` are taken; None: it suffices.

        `seen` is the greatest version that a sender chose: what is handed out
        next will be greater.
        """
        with self._lock:
            start = max(self._next, seen + 1)
            if start + count <= self._upto:
                self._next = start
                return None
            return start + count + BLOCK_VERSIONS

    def extend(self, upto: int, seen: int) -> None:
        """Use the bound, which is durable now."""
        with self._lock:
            self._upto = max(self._upto, upto)
            self._next = max(self._next, seen + 1)
