"""Text conditions over a column: each distinct text is examined once.

Of sorted values the settled ones are examined before the index is locked, and what
was found is kept while they stay; the few in the tail are examined each time.
"""

from __future__ import annotations

import numpy as np
from pyroaring import BitMap

from lookalike.wire.errors import FilterInvalid
from search_service.domain.conditions import FieldPath, TextMatch
from search_service.filters.bitmaps import bitmap_of
from search_service.filters.inverted import InvertedValues
from search_service.filters.keys import TextKeys
from search_service.filters.sorted_values import Settled
from search_service.filters.texts import TextTest
from search_service.filters.values import Values

# What one filter may examine, while other searches of the collection wait: a pattern
# takes 2 to 3 us a text, the rest 0.1 to 0.5 s for 13 MB in 400,000 texts, the longer
# the more of them fit (tests/bench/query/filter_texts.py).
MAX_MATCHED_TEXTS = 500_000
MAX_EXAMINED_BYTES = 128 << 20
# Conditions whose answers are kept, by column: 125 KB each for a million items.
_KEPT = 8
# Texts that an estimate looks at.
_SAMPLE = 64


class Budget:
    """What is left of the texts that a filter may examine."""

    def __init__(self) -> None:
        self._texts = MAX_MATCHED_TEXTS
        self._bytes = MAX_EXAMINED_BYTES

    def spend(self, field: FieldPath, test: TextTest, texts: int, size: int) -> None:
        """Count texts that are to be examined.

        Raises:
            FilterInvalid: they are too many.
        """
        name = ".".join(field)
        if test.match is TextMatch.REGEX:
            self._texts -= texts
            if self._texts < 0:
                raise FilterInvalid(
                    "filter",
                    f"matches on {name} would examine more than {MAX_MATCHED_TEXTS:,} different "
                    "texts: use contains or startswith, or a field with fewer values",
                )
            return
        self._bytes -= size
        if self._bytes < 0:
            raise FilterInvalid(
                "filter",
                f"the condition on {name} would examine more than {MAX_EXAMINED_BYTES >> 20} MiB "
                "of different texts: use startswith, or a field with shorter values",
            )


def prepare(values: Values[bytes], test: TextTest, field: FieldPath, budget: Budget) -> None:
    """Examine what can be examined without the index's lock.

    Raises:
        FilterInvalid: that is too much.
    """
    form = values.form
    if isinstance(form, InvertedValues):
        budget.spend(field, test, len(form), 0)
        return
    settled = form.settled
    budget.spend(field, test, len(form.tail_keys), 0)
    if test not in settled.found:
        keys = _texts_of(settled)
        budget.spend(field, test, len(keys.starts) - 1, len(keys.blob))
        _examine(settled, test)


def find(values: Values[bytes], test: TextTest) -> BitMap:
    """Find the ordinals with a text that fits, as a new bitmap; the lock is held."""
    form = values.form
    if isinstance(form, InvertedValues):
        fitting = [held for key, held in form.items() if test.fits(key)]
        return BitMap.union(BitMap(), *fitting)
    held = form.settled.found.get(test)
    if held is None:  # it was settled since `prepare`
        held = _examine(form.settled, test)
    found: BitMap = held - form.stale
    pairs = zip(form.tail_keys, form.tail_ordinals, strict=True)
    found |= BitMap([ordinal for key, ordinal in pairs if test.fits(key)])
    return found


def count(values: Values[bytes], test: TextTest) -> int:
    """Count, about, the ordinals with a text that fits: from a sample of the texts."""
    form = values.form
    if isinstance(form, InvertedValues):
        return sum(len(held) for key, held in form.items() if test.fits(key))
    keys = _texts_of(form.settled)
    held = form.settled.found.get(test)
    if held is not None:
        return int(len(held) / max(1, len(keys)) * (len(keys) + len(form.tail_keys)))
    run = keys.run(folded=False)
    counts = np.diff(keys.starts)
    sample = np.linspace(0, len(run) - 1, min(_SAMPLE, len(run))).astype(np.int64)
    fitting = sum(int(counts[i]) for i in sample.tolist() if test.fits(run.text(i)))
    return int(fitting / max(1, int(counts[sample].sum())) * (len(keys) + len(form.tail_keys)))


def _examine(settled: Settled[bytes], test: TextTest) -> BitMap:
    keys = _texts_of(settled)
    flags = test.fitting(keys.run(folded=test.ignore_case))
    found = bitmap_of(settled.ordinals[np.repeat(flags, np.diff(keys.starts))])
    kept = list(settled.found.items())[1 - _KEPT :]
    settled.found = {**dict(kept), test: found}
    return found


def _texts_of(settled: Settled[bytes]) -> TextKeys:
    assert isinstance(settled.keys, TextKeys), "strings are text keys"
    return settled.keys
