"""What is known of the image files of items, read from how the store keeps it.

The one place of the analyses that knows that form: a message of the contract.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lookalike.v1.image_pb2 import ImageFacts
from search_service.domain.arrays import I64, Flags


def file_numbers(facts: Sequence[bytes]) -> I64:
    """Return int64 [n]: equal for items of byte-identical files, by their SHA-256.

    -1 where that is not known, as of a vector that a caller made.
    """
    digests = [ImageFacts.FromString(each).sha256 for each in facts]
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
