"""Where arrays are in memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

CACHE_LINE_BYTES = 64


def address_of(array: npt.NDArray[Any]) -> int:
    """Return where the first element of a C-contiguous array is.

    The caller keeps the array for as long as the address is used. Addresses stand
    for arrays that may be read-only: Numba would compile a loop again for those.

    Raises:
        ValueError: rows do not follow each other.
    """
    if not array.flags.c_contiguous:
        raise ValueError("the array is not contiguous")
    address: int = array.__array_interface__["data"][0]  # half as long as `ctypes.data`
    return address


def aligned(shape: tuple[int, int], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Return an array whose first element begins a cache line; its contents are undefined.

    NumPy asks for huge pages for what is large, which saves walks random access a
    good part of its time.
    """
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    raw = np.empty(size + CACHE_LINE_BYTES, dtype=np.uint8)
    start = -raw.ctypes.data % CACHE_LINE_BYTES
    return raw[start : start + size].view(dtype).reshape(shape)
