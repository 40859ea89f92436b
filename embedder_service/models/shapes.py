"""What the options crop, pad and squash make of a model's own preprocessing."""

from __future__ import annotations

from dataclasses import replace

from embedder_service.preprocess import Preprocess

_FITS = {"crop": "center", "pad": "border", "squash": "squash"}


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
