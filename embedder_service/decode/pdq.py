"""PDQ: the 256-bit hash by which lists of known images are exchanged, and its quality.

After "The TMK+PDQF Video-Hashing Algorithm and the PDQ Image-Hashing Algorithm" (Facebook,
2019; github.com/facebook/ThreatExchange, hashing/hashing.pdf): luminance; two box filters
along each side, of a window that makes them a tent over a 64th of it; 64 by 64 samples;
the 16 by 16 lowest frequencies without the constant ones; a bit for each that is above
their median. The blur and the sampling are linear, so here they are one matrix for each side.
"""

from __future__ import annotations

from functools import cache, lru_cache

import numpy as np
import numpy.typing as npt
from PIL import Image

F32 = npt.NDArray[np.float32]
U8 = npt.NDArray[np.uint8]

_SIDE = 64
_STRIP = 8
_FREQUENCIES = 16
# The smallest side that the authors tested.
_LEAST_SIDE_PX = 5
# Rec. 601, as the paper takes it.
_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)
# Of the sum of gradients, for a quality of 0 to 100.
_GRADIENTS_PER_QUALITY = 90


def pdq_hash(rgb: Image.Image, width_px: int, height_px: int) -> tuple[bytes, int]:
    """Return the hash, 32 bytes, and its quality, 0 to 100, of an upright RGB picture.

    `rgb` may be a reduction of one of `width_px` by `height_px`: it is taken for blocks of
    equal pixels. The hash of a picture with a side of less than 5 px is 0, of quality 0.
    """
    if min(width_px, height_px) < _LEAST_SIDE_PX:
        return bytes(_FREQUENCIES * _FREQUENCIES // 8), 0
    small = _samples(np.asarray(rgb, dtype=np.uint8), width_px, height_px)
    return _bits(small), _quality(small)


def _samples(pixels: U8, width_px: int, height_px: int) -> F32:
    """Return the luminance, blurred and sampled, float32 [64, 64], of uint8 [H, W, 3]."""
    rows = _sampling(height_px, pixels.shape[0])
    narrow = np.empty((_SIDE, pixels.shape[1]), dtype=np.float32)
    # A sample needs few of the rows: by strips it takes a sixth of the products, and what
    # is at work stays in the cache.
    for first in range(0, _SIDE, _STRIP):
        weights = rows[first : first + _STRIP]
        used = np.flatnonzero(weights.any(axis=0))
        strip = slice(used[0], used[-1] + 1)
        luma = pixels[strip].astype(np.float32) @ _LUMA
        narrow[first : first + _STRIP] = weights[:, strip] @ luma
    samples: F32 = narrow @ _sampling(width_px, pixels.shape[1]).T
    return samples


def _bits(small: F32) -> bytes:
    basis = _dct_basis()
    low = (basis @ small @ basis.T).ravel()
    # The lower of the two values in the middle, as the reference has it.
    bits = low > np.partition(low, low.size // 2 - 1)[low.size // 2 - 1]
    # The first frequency is the last bit of the number that the hash is written as.
    return np.packbits(bits[::-1]).tobytes()


def _quality(small: F32) -> int:
    """Return how much structure there is: the sum of the gradients in whole hundredths."""
    total = 0
    for axis in (0, 1):
        steps = np.diff(small, axis=axis) * np.float32(100.0) / np.float32(255.0)
        total += int(np.abs(steps).astype(np.int64).sum())
    return min(100, total // _GRADIENTS_PER_QUALITY)


@lru_cache(maxsize=64)
def _sampling(full_px: int, given_px: int) -> F32:
    """Return what blurs a side of `full_px`, given as `given_px`, to 64: float32 [64, given].

    A box filter averages what it holds; at the ends, what is there of that. A sample is the
    filtered value at the centre of its 64th, so a row here is the two boxes' spread of it.
    """
    if full_px == _SIDE == given_px:
        return np.eye(_SIDE, dtype=np.float32)
    window = 1 if full_px == _SIDE else -(-full_px // (2 * _SIDE))
    ahead = (window + 2) // 2  # of the window, with the middle
    place = np.arange(full_px)
    first, last = np.maximum(place + ahead - window, 0), np.minimum(place + ahead, full_px)
    # What a place gives to each that its box holds, summed up to it.
    sums = np.concatenate(([0.0], np.cumsum(1.0 / (last - first))))
    centre = ((np.arange(_SIDE) + 0.5) * full_px / _SIDE).astype(np.int64)[:, np.newaxis]
    near = centre + np.arange(-2 * window, 2 * window + 1)  # all that two boxes reach
    inside = (near >= 0) & (near < full_px)
    left, right = first[centre], last[centre]
    spread = (
        sums[np.clip(near - ahead + window + 1, left, right)]
        - sums[np.clip(near - ahead + 1, left, right)]
    ) / (right - left)
    # Each given pixel stands for a block of the full ones.
    edges = np.arange(given_px) * full_px // given_px
    block = np.searchsorted(edges, near, side="right") - 1
    at = np.arange(_SIDE)[:, np.newaxis] * given_px + block
    weights = np.bincount(at[inside], weights=spread[inside], minlength=_SIDE * given_px)
    blur: F32 = weights.reshape(_SIDE, given_px).astype(np.float32)
    return blur


@cache
def _dct_basis() -> F32:
    """Return rows 1 to 16 of the 64-point DCT-II, float32 [16, 64]."""
    frequency = np.arange(1, _FREQUENCIES + 1)[:, np.newaxis]
    position = np.arange(_SIDE)[np.newaxis, :]
    angles = np.pi / (2 * _SIDE) * frequency * (2 * position + 1)
    basis: F32 = (np.sqrt(2.0 / _SIDE) * np.cos(angles)).astype(np.float32)
    return basis
