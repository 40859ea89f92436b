"""Every colour mode to 8-bit sRGB, on a ground where it is transparent."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms

from embedder_service.decode.ground import colour_behind
from embedder_service.preprocess import CONTRAST, U8

# Modes of an image whose embedded profile can be applied, with the colour space
# that such a profile must declare (ICC.1:2022, table 19).
_PROFILE_SPACES = {"RGB": "RGB", "L": "GRAY", "CMYK": "CMYK"}

_BAND_ROWS = 256


def to_srgb(picture: Image.Image, *, profiles: bool = True, ground: str = CONTRAST) -> Image.Image:
    """Return `picture`, in any Pillow mode but deep integers, as RGB in sRGB.

    Transparent pixels show `ground`: see `ground.colour_behind`. An embedded profile that
    is broken or belongs to another colour space is ignored, as browsers do; without
    `profiles` all are, and a picture in RGB keeps its own for later.
    """
    profile = picture.info.get("icc_profile")
    flat = _eight_bit(picture)
    alpha, behind = None, (0, 0, 0)
    if flat.mode == "RGBA":
        # By the values in the file: the same with a profile and without.
        alpha, behind = flat.getchannel("A"), colour_behind(flat, ground)
        flat = flat.convert("RGB")
    if profiles and isinstance(profile, bytes) and profile and flat.mode in _PROFILE_SPACES:
        flat = _apply_profile(flat, profile)
    if flat.mode == "CMYK":
        flat = flat.convert("RGB")
    if alpha is not None:
        background = Image.new("RGB", flat.size, behind)
        background.paste(flat, mask=alpha)
        flat = background
    return flat if flat.mode == "RGB" else flat.convert("RGB")


def _eight_bit(picture: Image.Image) -> Image.Image:
    """Return `picture`, no deeper than 8 bits or float, as L, RGB, RGBA or CMYK."""
    mode = picture.mode
    if mode in ("L", "RGB") and "transparency" in picture.info:
        return picture.convert("RGBA")
    if mode in ("L", "RGB", "RGBA", "CMYK"):
        return picture
    if mode in ("P", "PA", "LA", "La", "RGBa"):
        return _indexed_or_alpha(picture)
    if mode == "1":
        return picture.convert("L")
    if mode == "LAB":
        return _from_lab(picture)
    if mode == "F":
        return Image.fromarray(_float_to_u8(np.asarray(picture)))
    return picture.convert("RGB")


def _indexed_or_alpha(picture: Image.Image) -> Image.Image:
    if picture.mode == "P" and "transparency" not in picture.info:
        return picture.convert("RGB")
    if picture.mode == "La":
        return picture.convert("LA").convert("RGBA")
    return picture.convert("RGBA")


def _float_to_u8(values: npt.NDArray[Any]) -> U8:
    """Read 0..1 as black to white, else 0..255, else stretch the range.

    Float pictures carry no scale of their own; NaN and infinity become black.
    """
    usable = np.isfinite(values)
    low = float(values.min(initial=0.0, where=usable))
    high = float(values.max(initial=0.0, where=usable))
    floor, scale = 0.0, 1.0
    if low >= 0.0 and high <= 1.0:
        scale = 255.0
    elif low < 0.0 or high > 255.0:
        floor, scale = low, 255.0 / (high - low)
    out = np.empty(values.shape, dtype=np.uint8)
    # A band of rows at a time: in float64 a large picture would not fit the memory.
    for top in range(0, values.shape[0], _BAND_ROWS):
        band = np.where(usable[top : top + _BAND_ROWS], values[top : top + _BAND_ROWS], 0.0)
        stretched = np.rint((band.astype(np.float64) - floor) * scale)
        out[top : top + _BAND_ROWS] = np.clip(stretched, 0, 255)
    return out


def _from_lab(picture: Image.Image) -> Image.Image:
    return _transform(picture, ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")))


def _apply_profile(picture: Image.Image, data: bytes) -> Image.Image:
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(data))
        space = profile.profile.xcolor_space.strip()
        if space != _PROFILE_SPACES[picture.mode]:
            return picture
        if space == "RGB" and _is_srgb(profile):
            return picture
        return _transform(picture, profile)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError, AttributeError):
        # A damaged profile: the pixels are still the picture.
        return picture


def _is_srgb(profile: ImageCms.ImageCmsProfile) -> bool:
    """Tell the usual case by name, since the identity transform costs as much as any."""
    description = profile.profile.profile_description or ""
    return description.startswith("sRGB")


def _transform(picture: Image.Image, source: ImageCms.ImageCmsProfile) -> Image.Image:
    target = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    converted = ImageCms.profileToProfile(
        picture,
        source,
        target,
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        outputMode="RGB",
    )
    if converted is None:  # only with inPlace=True, says Pillow; its types disagree
        raise ValueError("the colour transform returned nothing")
    return converted
