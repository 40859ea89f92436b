"""How loops are compiled, and where the result is kept."""

from __future__ import annotations

import functools
import hashlib
import os
import shutil
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar, cast

import numba

_Loop = TypeVar("_Loop", bound=Callable[..., Any])
_HERE = Path(__file__).parent
_config: Any = numba.config  # its names are made at run time
_lock = threading.Lock()
_not_kept: list[Any] = []


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


@functools.cache
def _kept_here() -> Path:
    return _kept_in(_config.CACHE_DIR)


def keep_loops() -> None:
    """Have what is compiled from now on kept beside the modules, so that it is read later.

    Or in the user's cache, or in NUMBA_CACHE_DIR; where nothing can be written it is
    compiled again by each process, which takes some seconds. Importing a loop does not
    do it, since it reads all sources and looks for a place on the disk.
    """
    with _lock:
        if not _not_kept:
            return
        named, _config.CACHE_DIR = _config.CACHE_DIR, str(_kept_here())
        try:
            while _not_kept:
                with suppress(RuntimeError):  # Numba found no place for what it compiles
                    _not_kept.pop().enable_caching()
        finally:
            _config.CACHE_DIR = named


def forget_kept() -> None:
    """Remove what we keep, as far as that can be done."""
    shutil.rmtree(_kept_here(), ignore_errors=True)


def compiled(loop: _Loop) -> _Loop:
    """Compile a function on its first call, without the interpreter and its lock.

    Indices are not checked. The result is kept after `keep_loops`.
    """
    dispatcher = numba.njit(nogil=True, error_model="numpy")(loop)
    _not_kept.append(dispatcher)
    return cast(_Loop, dispatcher)


def inlined(loop: _Loop) -> _Loop:
    """Compile a function into those that call it."""
    return cast(_Loop, numba.njit(inline="always", error_model="numpy")(loop))
