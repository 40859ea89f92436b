"""Bitmaps from numpy arrays."""

from __future__ import annotations

from array import array
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from search_service.domain.arrays import U32


def bitmap_of(ordinals: NDArray[Any]) -> BitMap:
    """Make a bitmap of uint32 ordinals in any order.

    Sorted and as an `array`: 0.3 ms for 15,000 where `BitMap(ndarray)` takes
    1.7 ms and an unsorted `array` 1.3 ms (pyroaring 1.2.0, 2-core Zen 4).
    """
    if len(ordinals) == 0:
        return BitMap()
    return BitMap(array("I", np.sort(ordinals).astype(np.uint32, copy=False).tobytes()))


def ordinals_of(bitmap: BitMap) -> U32:
    """List a bitmap's ordinals, ascending."""
    return np.asarray(bitmap.to_array(), dtype=np.uint32)
