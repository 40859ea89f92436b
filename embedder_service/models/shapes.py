"""What the options crop, pad and squash make of a model's own preprocessing."""

from __future__ import annotations

import math
from dataclasses import replace

from embedder_service.preprocess import Preprocess

# What most networks for photographs were trained with: ImageNet's statistics.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
# The default of timm for what is kept of the middle.
USUAL_CROP = 0.875

_FITS = {"crop": "center", "pad": "border", "squash": "squash"}


def as_libraries(
    size_px: int,
    *,
    mean: tuple[float, float, float],
    std: tuple[float, float, float],
    crop_pct: float,
    resize_filter: str,
) -> Preprocess:
    """Return timm's usual preprocessing; `mean` and `std` are of 0..1."""
    red, green, blue = (value * 255.0 for value in mean)
    red_std, green_std, blue_std = (value * 255.0 for value in std)
    return Preprocess(
        size_px=size_px,
        crop_fraction=crop_pct,
        resize_filter=resize_filter,
        mean=(red, green, blue),
        std=(red_std, green_std, blue_std),
        fit="center",
        # As timm computes it.
        resize_px=math.floor(size_px / crop_pct),
        as_stored=True,
    )


def shaped(own: Preprocess, shape: str) -> Preprocess:
    """Return `own` with the square that an option asks for; "" leaves it as it is.

    `crop` keeps the model's own `resize_px`; the others show all of the picture.
    """
    if not shape:
        return own
    if shape == "crop":
        return replace(own, fit=_FITS[shape])
    return whole_picture(own, shape)


def whole_picture(own: Preprocess, shape: str) -> Preprocess:
    """Return `own` so that nothing is cut off: `pad` or `squash`."""
    return replace(own, fit=_FITS[shape], resize_px=own.size_px)
