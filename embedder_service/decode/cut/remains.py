"""What is left of a picture whose file lacks its end, and how its gap is filled."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

Rows = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Remains:
    """What came of a file.

    `share` of the rows came, of 1. `missing`, bool [H] of the picture as it is
    loaded, says which rows did not. `data` is a file that can be loaded in the
    place of what came.
    """

    share: float
    missing: Rows
    data: bytes


def tail(height: int, came: int) -> Rows:
    """Return the rows from `came` on as missing."""
    return np.arange(height) >= came


def fill(picture: Image.Image, missing: Rows) -> None:
    """Paint missing rows, in place, with what is next to them.

    A gap at an end mirrors what it adjoins, which looks more like the picture than
    any colour; a row between two that came is a copy of its neighbour.
    """
    present = np.flatnonzero(~missing)
    if not present.size:
        return
    first, last = int(present[0]), int(present[-1])
    for row in np.flatnonzero(missing).tolist():
        if row > last:
            wanted = 2 * last + 1 - row
        elif row < first:
            wanted = 2 * first - 1 - row
        else:
            wanted = row
        # The nearest row that came.
        at = int(np.searchsorted(present, wanted))
        before, after = present[max(at - 1, 0)], present[min(at, present.size - 1)]
        source = int(before if wanted - before <= after - wanted else after)
        picture.paste(picture.crop((0, source, picture.width, source + 1)), (0, row))
