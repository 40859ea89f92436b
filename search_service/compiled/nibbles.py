"""Four bits a component: what encoders make of vectors, coarser, two in a byte."""

from __future__ import annotations

from typing import Any

import numpy as np

from search_service.domain.arrays import U8

# Levels of the encoder's int8 that one of the sixteen steps takes.
LEVELS_A_STEP = 11
# Of the least step, the least level: what is below is in the same step.
_LEAST, _GREATEST = -8, 7


def _steps() -> U8:
    """Return the step of each int8, uint8 [256] of its bits, as four bits that have a sign."""
    levels = np.arange(256, dtype=np.uint8).view(np.int8).astype(np.int64)
    steps = np.clip(levels // LEVELS_A_STEP, _LEAST, _GREATEST)
    return (steps & 0xF).astype(np.uint8)


STEPS = _steps()


def as_nibbles(levels: Any) -> U8:
    """Return int8 [B, width] as four bits each, uint8 [B, (width + 1) // 2]; the rest is 0."""
    steps = STEPS[np.ascontiguousarray(levels, dtype=np.int8).view(np.uint8)]
    packed = np.ascontiguousarray(steps[:, 0::2])
    packed[:, : levels.shape[1] // 2] |= steps[:, 1::2] << 4
    return packed
