"""The eight ways in which a picture may lie: four quarter turns, each of them mirrored or not.

A way is a number: quarter turns clockwise, 0 to 3, and 4 more where the picture is mirrored,
left to right, before it is turned. Way 0 leaves a picture as it is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from search_service.domain.arrays import F32, I64

WAYS = 8
_MIRRORED = 4


@dataclass(frozen=True, slots=True)
class Turn:
    """What was done to a picture: mirrored left to right or not, then turned clockwise."""

    mirrored: bool
    degrees: int


def turn_of(way: int) -> Turn:
    """Return what a way does."""
    return Turn(mirrored=way >= _MIRRORED, degrees=90 * (way % _MIRRORED))


def turned(pictures: F32, way: int) -> F32:
    """Return pictures, [..., n, n], turned in a way."""
    if way >= _MIRRORED:
        pictures = pictures[..., ::-1]
    return np.rot90(pictures, -(way % _MIRRORED), axes=(-2, -1))


def turned_waves(waves: F32, way: int) -> F32:
    """As `turned`, of the discrete cosine transforms of pictures, [..., n, n].

    Waves of an odd number of half periods change their sign when a picture is mirrored.
    """
    signs = np.where(np.arange(waves.shape[-1]) % 2, -1.0, 1.0).astype(np.float32)
    if way >= _MIRRORED:
        waves = waves * signs
    for _ in range(way % _MIRRORED):
        waves = waves.swapaxes(-1, -2) * signs
    return waves


def back(ways: I64) -> I64:
    """Return the ways that undo ways, any shape."""
    undone: I64 = np.where(ways < _MIRRORED, -ways % _MIRRORED, ways)
    return undone


def lies_across(ways: I64) -> I64:
    """Return 1 where a way makes the width the height, else 0, any shape."""
    across: I64 = ways % 2
    return across
