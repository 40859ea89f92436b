"""What is known of the image files of items, read from how the store keeps it.

The one place of the analyses that knows that form: a message of the contract.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lookalike.v1.image_pb2 import ImageFacts
from search_service.domain.arrays import I64


def file_numbers(facts: Sequence[bytes]) -> I64:
    """Return int64 [n]: equal for items of byte-identical files, by their SHA-256.

    -1 where that is not known, as of a vector that a caller made.
    """
    digests = [ImageFacts.FromString(each).sha256 for each in facts]
    names, numbers = np.unique(np.array(digests, dtype=object), return_inverse=True)
    unknown = len(names) > 0 and not names[0]
    return np.where(unknown & (numbers == 0), -1, numbers).astype(np.int64)
