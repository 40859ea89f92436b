"""What shows through the transparent pixels of a picture.

Most transparent pictures are made for white pages, and product photographs stand on white:
so white is what shows, unless the picture would vanish on it. White artwork on transparency,
such as a logo for dark pages, gets the ground on which more of it is seen.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from embedder_service.preprocess import WHITE

Colour = tuple[int, int, int]

WHITE_PAGE: Colour = (255, 255, 255)
# Black shows white, grey shows what is black and white; on each, equal shares count as before.
_OTHERS: tuple[Colour, ...] = ((0, 0, 0), (128, 128, 128))

# Levels of 255 by which a pixel must differ from the ground to be seen: more than the 9
# tones that an even background has in a JPEG of quality 50 (`facts._BLANK_TONES`).
_SEEN_LEVELS = 16
# Least share of the artwork, by opacity, that is seen on white. What is cut out of a
# photograph of something white has folds and shadows, and stays on white as in catalogues.
_LEAST_SEEN = 0.25
_BAND_ROWS = 256


def colour_behind(picture: Image.Image, ground: str) -> Colour:
    """Return what shows through a picture in RGBA: white, or where `ground` is by contrast,
    the first of white, black and grey on which enough of it is seen."""
    if ground == WHITE or picture.getchannel("A").getextrema() == (255, 255):
        return WHITE_PAGE
    shares = _shares_seen(picture, (WHITE_PAGE, *_OTHERS))
    if shares[0] >= _LEAST_SEEN:
        return WHITE_PAGE
    best = max(range(1, len(shares)), key=lambda at: (shares[at], -at))
    return _OTHERS[best - 1] if shares[best] > shares[0] else WHITE_PAGE


def _shares_seen(picture: Image.Image, grounds: tuple[Colour, ...]) -> list[float]:
    """Return the share of a picture, by opacity, that is seen on each ground."""
    whole = 0
    seen = [0] * len(grounds)
    # A band of rows at a time: pictures may be large.
    for top in range(0, picture.height, _BAND_ROWS):
        bottom = min(picture.height, top + _BAND_ROWS)
        band = np.asarray(picture.crop((0, top, picture.width, bottom)))
        opacity = band[..., 3].astype(np.int32)
        if not opacity.any():
            continue
        whole += int(opacity.sum())
        colours = band[..., :3].astype(np.int32)
        for at, ground in enumerate(grounds):
            apart = np.abs(colours - np.array(ground, dtype=np.int32)).max(axis=-1)
            seen[at] += int(opacity[apart * opacity >= _SEEN_LEVELS * 255].sum())
    return [part / whole if whole else 1.0 for part in seen]
