"""The small grey pictures of items: decoded, and as sketches that are cheap to compare."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from PIL import Image

from search_service.analysis.duplicates.resampling import reduced
from search_service.analysis.jobs import Progress
from search_service.domain.arrays import F16, F32, I64, U8

_SIDE_PX = 64
_SKETCH_SIDE_PX = 8
# Grey levels from the mean, the root of the sum of whose squares is less, are no structure.
_LEAST_NORM = 8.0
_PICTURES_AT_ONCE = 512


def decoded(grey_webp: bytes) -> U8:
    """Return a grey picture, uint8 [64, 64]; one that cannot be read shows nothing."""
    try:
        with Image.open(io.BytesIO(grey_webp), formats=("WEBP",)) as picture:
            if picture.size == (_SIDE_PX, _SIDE_PX):
                return np.asarray(picture.convert("L"), dtype=np.uint8)
    except (OSError, ValueError, RuntimeError, SyntaxError):
        pass  # a caller may have sent anything as facts
    return np.zeros((_SIDE_PX, _SIDE_PX), dtype=np.uint8)


class Sketches:
    """Pictures of 8 by 8 px, brightness and contrast aside: 128 bytes an item.

    A colour or a small size that moves a vector far hardly moves them.
    """

    def __init__(
        self, greys: Sequence[bytes], threads: int, report: Callable[[Progress], None]
    ) -> None:
        """Make them of small grey WebP pictures; those of empty ones are like no other."""
        self._sketches: F16 = np.zeros((len(greys), _SKETCH_SIDE_PX**2), dtype=np.float16)
        starts = range(0, len(greys), _PICTURES_AT_ONCE)
        with ThreadPoolExecutor(threads, thread_name_prefix="sketch") as pool:
            parts = pool.map(
                lambda start: _sketched(greys[start : start + _PICTURES_AT_ONCE]), starts
            )
            for start, part in zip(starts, parts, strict=True):
                self._sketches[start : start + len(part)] = part
                report(Progress("reading pictures", start + len(part), len(greys)))

    def likeness(self, rows: I64, others: I64) -> F32:
        """Return how alike rows, int64 [B], and others, int64 [B, k], are: -1 to 1, [B, k].

        0 where one shows nothing, and for others of -1.
        """
        one = self._sketches[rows].astype(np.float32)
        other = self._sketches[others].astype(np.float32)
        alike: F32 = np.einsum("bd,bkd->bk", one, other)
        alike[others < 0] = 0.0
        return alike


def _sketched(greys: Sequence[bytes]) -> F32:
    pictures = np.stack([decoded(each) for each in greys]).astype(np.float32)
    flat = reduced(pictures, _SIDE_PX // _SKETCH_SIDE_PX).reshape(len(greys), -1)
    flat -= flat.mean(axis=1, keepdims=True)
    norms = np.linalg.norm(flat, axis=1, keepdims=True)
    sketches: F32 = np.where(norms < _LEAST_NORM, 0.0, flat / np.maximum(norms, 1.0))
    return sketches
