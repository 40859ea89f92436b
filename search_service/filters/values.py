"""The values of one kind under one path, in the form that suits their number."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeAlias

import numpy as np
from pyroaring import BitMap

from search_service.filters.bitmaps import ordinals_of
from search_service.filters.bounds import Bounds, K
from search_service.filters.inverted import InvertedValues
from search_service.filters.keys import Keys
from search_service.filters.sorted_values import Settled, SortedValues

# With more distinct keys, a range over their bitmaps costs more than one over
# sorted entries (a million items: tests/bench/query/filter_eval.py).
MAX_INVERTED_KEYS = 1_024

MakeKeys: TypeAlias = Callable[[Sequence[K], Sequence[int]], Keys[K]]


class Values(Generic[K]):
    """Keys of one kind: inverted while few are distinct, sorted from then on.

    Not safe across threads: `MetadataIndex` holds the lock.
    """

    def __init__(self, make_keys: MakeKeys[K]) -> None:
        self.make_keys: MakeKeys[K] = make_keys
        self.form: InvertedValues[K] | SortedValues[K] = InvertedValues()

    def copy(self) -> Values[K]:
        """A copy that later changes leave alone."""
        copied = Values(self.make_keys)
        copied.form = self.form.copy()
        return copied

    def equal(self, keys: set[K]) -> BitMap:
        """Ordinals that hold one of `keys`, as a new bitmap."""
        return self.form.equal(list(keys))

    def between(self, bounds: Bounds[K]) -> BitMap:
        """Ordinals that hold a key in the range, as a new bitmap."""
        return self.form.between(bounds)

    def count_equal(self, keys: set[K]) -> int:
        """Count, about, the ordinals that hold one of `keys`."""
        return self.form.count_equal(list(keys))

    def count_between(self, bounds: Bounds[K]) -> int:
        """Count, about, the ordinals that hold a key in the range."""
        return self.form.count_between(bounds)

    def better_form(self) -> SortedValues[K] | None:
        """Make the form that these values should have by now; None if it is this one.

        For the writer, without the lock: nothing is changed until the answer is
        put in `form`.
        """
        if isinstance(self.form, SortedValues):
            return self.form.resettled() if self.form.unsettled else None
        if len(self.form) <= MAX_INVERTED_KEYS:
            return None
        pairs = sorted(self.form.items(), key=lambda pair: pair[0])
        keys = self.make_keys([key for key, _ in pairs], [len(bitmap) for _, bitmap in pairs])
        ordinals = np.concatenate([ordinals_of(bitmap) for _, bitmap in pairs])
        return SortedValues(Settled(keys, ordinals))
