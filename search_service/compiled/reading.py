"""Asks the system for mapped rows before they are touched, all of them at once.

A row that is not in memory stops the thread that touches it until it is read, and those
behind it wait for their turn. Asked for before, they are read beside each other.
"""

from __future__ import annotations

import ctypes
import mmap
from functools import cache

from search_service.compiled.intrinsics import call_advise
from search_service.compiled.jit import compiled, inlined
from search_service.domain.arrays import I64


@cache
def advise_function() -> int:
    """Return the address of the system's `madvise`."""
    found = ctypes.cast(ctypes.CDLL(None).madvise, ctypes.c_void_p).value
    assert found is not None, "a function that was found has an address"
    return found


@inlined
def expect_row(function: int, start: int, row_bytes: int, page_bytes: int, advice: int) -> None:
    """Ask for the row at an address."""
    page = start // page_bytes * page_bytes
    call_advise(function, page, start + row_bytes - page, advice)


@compiled
def expect_rows(
    function: int, rows: int, row_bytes: int, nodes: I64, page_bytes: int, advice: int
) -> None:
    """Ask for the rows of `nodes`, int64 [n], -1 for none, of a mapping at address `rows`.

    What the system says to it does not matter: a row is read when it is touched, too.
    """
    for node in nodes:
        if node >= 0:
            expect_row(function, rows + node * row_bytes, row_bytes, page_bytes, advice)


def expect(rows: int, row_bytes: int, nodes: I64) -> None:
    """Have the rows of `nodes`, int64 [n], read; waits for none of them."""
    expect_rows(advise_function(), rows, row_bytes, nodes, mmap.PAGESIZE, mmap.MADV_WILLNEED)


def release(address: int, size: int) -> None:
    """Take whole pages of a shared mapping out of this process; the system may keep them."""
    start = -(-address // mmap.PAGESIZE) * mmap.PAGESIZE
    length = (address + size - start) // mmap.PAGESIZE * mmap.PAGESIZE
    if length > 0:
        ctypes.CDLL(None).madvise(
            ctypes.c_void_p(start), ctypes.c_size_t(length), mmap.MADV_DONTNEED
        )
