"""Looks for damage in the middle of a store's write-ahead log, before SQLite replays it.

SQLite takes the first frame that does not fit for the end of the log, which is what a
crash leaves, and goes on without all that follows: commits that were acknowledged. Only
the last transaction can be torn by a crash, since each is synced before it is told. So
whole commits behind a frame that does not fit say that something was overwritten later.
The format: https://sqlite.org/fileformat2.html#the_write_ahead_log.
"""

from __future__ import annotations

import functools
import os
import struct
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from search_service.domain.arrays import U32

_HEADER = struct.Struct(">8I")
_FRAME = struct.Struct(">6I")
_MAGIC_LITTLE, _MAGIC_BIG = 0x377F0682, 0x377F0683


class _Frame(NamedTuple):
    """A frame as it stands: whether it ends a commit, and its sums."""

    ends_commit: bool
    salts: tuple[int, int]
    sums: tuple[int, int]
    content: U32


def log_is_damaged(store: Path, page_bytes: int) -> bool:
    """Say whether commits stand in the log of `store` that SQLite would pass over.

    `page_bytes` is the store's, for a log whose header is damaged.

    Raises:
        OSError: the log cannot be read.
    """
    path = store.with_name(f"{store.name}-wal")
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return False
    with file:
        return _is_damaged(file, page_bytes)


def _is_damaged(file: BinaryIO, page_bytes: int) -> bool:
    head = file.read(_HEADER.size)
    if len(head) < _HEADER.size:
        return False
    magic, _, page, _, *salts_and_sums = _HEADER.unpack(head)
    salts, sums = (salts_and_sums[0], salts_and_sums[1]), (salts_and_sums[2], salts_and_sums[3])
    words = ">u4" if magic == _MAGIC_BIG else "<u4"
    content = np.frombuffer(head[:24], words).astype(np.uint32)
    fits = magic in (_MAGIC_LITTLE, _MAGIC_BIG) and _sums_after((0, 0), content) == sums
    size = page if fits else page_bytes
    count = (os.fstat(file.fileno()).st_size - _HEADER.size) // (_FRAME.size + size)
    broken = not fits
    before: _Frame | None = None
    commits = 0  # whole ones behind what does not fit
    for _ in range(count):
        frame = _read(file, size, words)
        seed = (sums if fits else None) if before is None else before.sums
        follows = seed is not None and _sums_after(seed, frame.content) == frame.sums
        ours = frame.salts == salts if fits else before is not None and frame.salts == before.salts
        if not (follows and ours):
            broken = True
        elif broken:
            commits += frame.ends_commit
        before = frame
        # The torn one may have come to the disk in part, its end among it.
        if commits > 1:
            return True
    return False


def _read(file: BinaryIO, size: int, words: str) -> _Frame:
    head = file.read(_FRAME.size)
    _, pages, salt, other_salt, one, two = _FRAME.unpack(head)
    content = np.frombuffer(head[:8] + file.read(size), words).astype(np.uint32)
    return _Frame(pages != 0, (salt, other_salt), (one, two), content)


def _sums_after(seed: tuple[int, int], content: U32) -> tuple[int, int]:
    """Return SQLite's two sums over uint32 [2 n], begun at `seed`.

    Its loop, `a += x + b; b += y + a`, is a linear map, so the sum is one of products.
    """
    powers = _powers(len(content) // 2)
    first = content[0::2]
    both = first + content[1::2]
    here, aside, there = powers[::-1].T[:, : len(first)]
    last = powers[0] if not len(first) else _step(powers[-1])
    one = int((here * first + aside * both).sum(dtype=np.uint32))
    two = int((aside * first + there * both).sum(dtype=np.uint32))
    one += int(last[0]) * seed[0] + int(last[1]) * seed[1]
    two += int(last[1]) * seed[0] + int(last[2]) * seed[1]
    return one % 2**32, two % 2**32


@functools.cache
def _powers(count: int) -> U32:
    """Return ((1, 1), (1, 2)) to the powers 0 to `count` - 1: uint32 [count, 3], of which
    each is symmetric, so that three of its numbers say all."""
    powers = np.zeros((count, 3), dtype=np.uint32)
    now = (1, 0, 1)
    for place in range(count):
        powers[place] = now
        now = _step(now)
    return powers


def _step(power: tuple[int, int, int] | U32) -> tuple[int, int, int]:
    here, aside, there = (int(number) for number in power)
    return (
        (here + aside) % 2**32,
        (aside + there) % 2**32,
        (aside + 2 * there) % 2**32,
    )
