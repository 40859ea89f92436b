"""From an upright sRGB picture to the square that a network sees.

All of it is part of the model fingerprint: a change here changes vectors.

The square is the central `crop_fraction` of the short side, resized in one step
to `size_px` with an antialiased filter. That is "resize the short side to
size / crop_fraction, then crop the centre" without computing the pixels that
the crop throws away. Scaling to the network's number range happens inside the
network's graph, from the uint8 values made here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

U8 = npt.NDArray[np.uint8]

# Counts up whenever the steps from file to square change what they produce:
# decoding, colour, orientation, background, reduction, resizing.
PREPROCESS_VERSION = 1

FILTERS = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


@dataclass(frozen=True, slots=True)
class Preprocess:
    """How a picture becomes a network's input.

    `mean` and `std` are in units of 0..255, one for each of red, green, blue:
    the network sees (x - mean) / std.
    """

    size_px: int
    crop_fraction: float
    resize_filter: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def describe(self) -> dict[str, object]:
        """Return what goes into the fingerprint."""
        return {
            "version": PREPROCESS_VERSION,
            "size_px": self.size_px,
            "crop_fraction": self.crop_fraction,
            "resize_filter": self.resize_filter,
            "mean": list(self.mean),
            "std": list(self.std),
        }


def least_short_side_px(size_px: int, crop_fraction: float) -> int:
    """Return the short side that decoding may shrink a picture to, but not below.

    Twice the side that is resized from: Pillow's own rule for `draft` in
    `thumbnail` (reducing_gap=2.0), where the loss against the full picture
    stops being visible.
    """
    return 2 * -int(-size_px // crop_fraction)


def square(picture: Image.Image, *, size_px: int, crop_fraction: float, resize_filter: str) -> U8:
    """Return uint8 [size_px, size_px, 3] from an upright RGB `picture`."""
    side = min(picture.size) * crop_fraction
    left = (picture.width - side) / 2
    top = (picture.height - side) / 2
    resized = picture.resize(
        (size_px, size_px), FILTERS[resize_filter], box=(left, top, left + side, top + side)
    )
    return np.asarray(resized, dtype=np.uint8)
