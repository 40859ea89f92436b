"""Arrays by name, as a file keeps them."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

Arrays: TypeAlias = dict[str, "np.ndarray[tuple[int, ...], np.dtype[np.generic]]"]


def shaped(arrays: Arrays, name: str, shape: tuple[int, ...], kind: type[np.generic]) -> Any:
    """Return one of `arrays`, which must have that shape (-1: any length) and type.

    Raises:
        KeyError, ValueError: it is not there, or another.
    """
    array = arrays[name]
    fits = array.ndim == len(shape) and all(
        wanted in (-1, there) for wanted, there in zip(shape, array.shape, strict=True)
    )
    if not fits or array.dtype != kind:
        raise ValueError(f"{name} is {array.dtype} {array.shape}, not {shape}")
    return array
