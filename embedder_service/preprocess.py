"""From an upright sRGB picture to the square that a network sees.

All of it is part of the model fingerprint: a change here changes vectors. Scaling
to the network's number range happens inside the network's graph, from the uint8
values made here.

`fit` says how a picture that is no square becomes one:

- "box": the central `crop_fraction` of the short side, resized in one step. That
  is "resize the short side, then crop the centre" without computing the pixels
  that the crop throws away, and without rounding them twice.
- "center", "border", "squash": the steps of timm and torchvision, to the pixel.
  The short side, the long side, or both are resized to `resize_px`; then the
  centre of `size_px` is cut out, on a ground of the network's mean where the
  picture does not reach.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

U8 = npt.NDArray[np.uint8]

# Counts up whenever the steps from file to square change what they produce:
# decoding, colour, orientation, background, reduction, resizing.
PREPROCESS_VERSION = 1

# What shows through transparent pixels.
CONTRAST, WHITE = "contrast", "white"

FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
    "box": Image.Resampling.BOX,
    "hamming": Image.Resampling.HAMMING,
}


@dataclass(frozen=True, slots=True)
class Preprocess:
    """How a picture becomes a network's input.

    `mean` and `std` are in units of 0..255, one for each of red, green, blue:
    the network sees (x - mean) / std. `crop_fraction` counts for the fit "box",
    `resize_px` for the others. `as_stored`: the pixels are resized as the file has
    them, as libraries do; otherwise a large picture is shrunk while it is decoded,
    which is faster, and a colour profile is applied. `ground` is what shows through
    transparent pixels: see `decode/ground.py`.
    """

    size_px: int
    crop_fraction: float
    resize_filter: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    fit: str = "box"
    resize_px: int = 0
    as_stored: bool = False
    ground: str = CONTRAST

    def describe(self) -> dict[str, object]:
        """Return what goes into the fingerprint."""
        shape: dict[str, object] = {"crop_fraction": self.crop_fraction}
        if self.fit != "box":
            shape = {"fit": self.fit, "resize_px": self.resize_px, "as_stored": self.as_stored}
        # White is what collections have whose models said nothing of a ground.
        if self.ground != WHITE:
            shape["ground"] = self.ground
        return {
            "version": PREPROCESS_VERSION,
            "size_px": self.size_px,
            **shape,
            "resize_filter": self.resize_filter,
            "mean": list(self.mean),
            "std": list(self.std),
        }

    def message(self) -> dict[str, Any]:
        """Return the fields, for `Preprocess(**fields)` in another process."""
        return asdict(self)

    @property
    def least_short_side_px(self) -> int | None:
        """The short side that decoding may shrink a picture to; None for `as_stored`."""
        if self.as_stored:
            return None
        if self.fit == "box":
            return least_short_side_px(self.size_px, self.crop_fraction)
        return least_short_side_px(self.resize_px, 1.0)

    def square(self, picture: Image.Image) -> U8:
        """Return uint8 [size_px, size_px, 3] from an upright RGB `picture`."""
        steps = {"box": self._box, "center": self._center, "border": self._border}
        square = steps.get(self.fit, self._squash)(picture)
        return np.asarray(square, dtype=np.uint8)

    def _box(self, picture: Image.Image) -> Image.Image:
        side = min(picture.size) * self.crop_fraction
        left = (picture.width - side) / 2
        top = (picture.height - side) / 2
        return picture.resize(
            (self.size_px, self.size_px),
            FILTERS[self.resize_filter],
            box=(left, top, left + side, top + side),
        )

    def _center(self, picture: Image.Image) -> Image.Image:
        """As torchvision's Resize and CenterCrop: the long side is rounded down."""
        short = min(picture.size)
        width_px, height_px = (int(self.resize_px * side / short) for side in picture.size)
        return self._cut(self._resized(picture, width_px, height_px), (0, 0, 0))

    def _border(self, picture: Image.Image) -> Image.Image:
        """As timm's ResizeKeepRatio and CenterCropOrPad: sides go to the even nearest."""
        ratio = max(side / self.resize_px for side in picture.size)
        # A strip that is thinner than half a pixel keeps one; timm refuses it.
        width_px, height_px = (max(1, round(side / ratio)) for side in picture.size)
        red, green, blue = (round(value) for value in self.mean)
        return self._cut(self._resized(picture, width_px, height_px), (red, green, blue))

    def _squash(self, picture: Image.Image) -> Image.Image:
        return self._cut(self._resized(picture, self.resize_px, self.resize_px), (0, 0, 0))

    def _resized(self, picture: Image.Image, width_px: int, height_px: int) -> Image.Image:
        return picture.resize((width_px, height_px), FILTERS[self.resize_filter])

    def _cut(self, picture: Image.Image, ground: tuple[int, int, int]) -> Image.Image:
        """Return the centre, on `ground` where `picture` is smaller; halves round as theirs do."""
        size = self.size_px
        short_x, short_y = (max(0, size - side) for side in picture.size)
        if short_x or short_y:
            padded = Image.new("RGB", (picture.width + short_x, picture.height + short_y), ground)
            padded.paste(picture, (short_x // 2, short_y // 2))
            picture = padded
        left, top = (round((side - size) / 2.0) for side in picture.size)
        return picture.crop((left, top, left + size, top + size))


def least_short_side_px(size_px: int, crop_fraction: float) -> int:
    """Return the short side that decoding may shrink a picture to, but not below.

    Twice the side that is resized from: Pillow's own rule for `draft` in
    `thumbnail` (reducing_gap=2.0), where the loss against the full picture
    stops being visible.
    """
    return 2 * -int(-size_px // crop_fraction)
