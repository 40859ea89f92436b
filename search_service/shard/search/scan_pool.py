"""Threads that share one scan: a product of NumPy lets go of the interpreter."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

_Piece = TypeVar("_Piece")
_Result = TypeVar("_Result")


class ScanPool:
    """Up to `threads` pieces of a call at a time, over all its callers.

    BLAS keeps to one thread (the service sees to it): its own threads wait for
    each other at the end of every small product, and where a core is busy with
    something else that costs several times the product.
    """

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="shard-scan")

    def map(self, call: Callable[[_Piece], _Result], pieces: Sequence[_Piece]) -> Iterator[_Result]:
        """Yield `call(piece)` in the order of `pieces`; one piece costs no hand-over."""
        if self.threads == 1 or len(pieces) < 2:
            return map(call, pieces)
        return self._pool.map(call, pieces)

    def close(self) -> None:
        """Wait for what runs; no call may follow."""
        self._pool.shutdown()
