"""What is known of the image files of items, read from how the store keeps it.

The one place of the analyses that knows that form: a message of the contract.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lookalike.v1.image_pb2 import ImageFacts
from search_service.domain.arrays import F64, I64, Flags


@dataclass(frozen=True, slots=True)
class PictureFacts:
    """Of n items, arrays int64 or float64 [n]; 0 or empty where it is not known.

    `files` and `pictures` are equal for items of byte-identical files and of the same
    decoded pixels, -1 where that is not known. `greys` are small grey WebP pictures.
    """

    files: I64
    pictures: I64
    width_px: I64
    height_px: I64
    size_bytes: I64
    sharpness: F64
    formats: Sequence[str]
    truncated: Flags
    greys: Sequence[bytes]


def picture_facts(facts: Sequence[bytes]) -> PictureFacts:
    """Read the facts of items."""
    read = [ImageFacts.FromString(each) for each in facts]
    return PictureFacts(
        files=_numbers([each.sha256 for each in read]),
        pictures=_numbers([each.pixel_sha256 for each in read]),
        width_px=np.array([each.width_px for each in read], dtype=np.int64),
        height_px=np.array([each.height_px for each in read], dtype=np.int64),
        size_bytes=np.array([each.size_bytes for each in read], dtype=np.int64),
        sharpness=np.array([each.sharpness for each in read], dtype=np.float64),
        formats=[each.format for each in read],
        truncated=np.array([each.truncated for each in read], dtype=np.bool_),
        greys=[each.grey_webp for each in read],
    )


def file_numbers(facts: Sequence[bytes]) -> I64:
    """Return int64 [n]: equal for items of byte-identical files, by their SHA-256.

    -1 where that is not known, as of a vector that a caller made.
    """
    return _numbers([ImageFacts.FromString(each).sha256 for each in facts])


def _numbers(digests: Sequence[bytes]) -> I64:
    names, numbers = np.unique(np.array(digests, dtype=object), return_inverse=True)
    unknown = len(names) > 0 and not names[0]
    return np.where(unknown & (numbers == 0), -1, numbers).astype(np.int64)


@dataclass(frozen=True, slots=True)
class PictureMarks:
    """What is marked of each item's picture, bool [n] each.

    `known` is false where an item has no facts, as of a vector that a caller made.
    """

    known: Flags
    blank: Flags
    truncated: Flags


def picture_marks(facts: Sequence[bytes]) -> PictureMarks:
    """Read which pictures are blank, and which files lack their end."""
    marks = np.zeros((3, len(facts)), dtype=np.bool_)
    for place, each in enumerate(facts):
        if each:
            read = ImageFacts.FromString(each)
            marks[:, place] = (True, read.blank, read.truncated)
    return PictureMarks(*marks)
