"""How loops are compiled, and where the result is kept."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba

_Loop = TypeVar("_Loop", bound=Callable[..., Any])
_HERE = Path(__file__).parent


def _digest() -> str:
    """Return what stands for these very sources.

    Numba knows a kept loop by the file that it is in, and not by those whose functions
    were compiled into it.
    """
    digest = hashlib.sha256()
    for path in sorted(_HERE.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _kept_in(named: str) -> Path:
    """Return a folder of our own below the one that was named, or where we can write."""
    if named:
        root = Path(named)
    elif os.access(_HERE, os.W_OK):
        root = _HERE / "__pycache__"
    else:
        root = Path(os.path.expanduser("~/.cache"))  # stays as it is where there is no home
    return root / f"lookalike-{_digest()}"


_config: Any = numba.config  # its names are made at run time
_KEPT_IN = _kept_in(_config.CACHE_DIR)
_config.CACHE_DIR = str(_KEPT_IN)


def forget_kept() -> None:
    """Remove what we keep, as far as that can be done."""
    shutil.rmtree(_KEPT_IN, ignore_errors=True)


def compiled(loop: _Loop) -> _Loop:
    """Compile a function on its first call, without the interpreter and its lock.

    Indices are not checked. What was compiled is kept beside the module, or in the
    user's cache, or in NUMBA_CACHE_DIR; where nothing can be written it is compiled
    again by each process, which takes some seconds.
    """
    try:
        return cast(_Loop, numba.njit(nogil=True, cache=True, error_model="numpy")(loop))
    except RuntimeError:  # Numba found no place for what it compiles
        return cast(_Loop, numba.njit(nogil=True, error_model="numpy")(loop))


def inlined(loop: _Loop) -> _Loop:
    """Compile a function into those that call it."""
    return cast(_Loop, numba.njit(inline="always", error_model="numpy")(loop))
