"""How loops are compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

_Loop = TypeVar("_Loop", bound=Callable[..., Any])


def compiled(loop: _Loop) -> _Loop:
    """Compile a function on its first call, without the interpreter and its lock.

    Indices are not checked and do not wrap past what the function does itself. What
    was compiled is kept beside the module, or in NUMBA_CACHE_DIR; where nothing can be
    written it is compiled again by each process, which takes some seconds.
    """
    try:
        return cast(_Loop, numba.njit(nogil=True, cache=True, error_model="numpy")(loop))
    except RuntimeError:  # Numba found no place for what it compiles
        return cast(_Loop, numba.njit(nogil=True, error_model="numpy")(loop))


def inlined(loop: _Loop) -> _Loop:
    """Compile a function into those that call it."""
    return cast(_Loop, numba.njit(inline="always", error_model="numpy")(loop))
