"""Counts of a field's values."""

from __future__ import annotations

import numpy as np

from search_service.domain.items import Facets
from search_service.filters.spread import Spread


def count_facets(spread: Spread, items: int, limit: int) -> Facets:
    """List the `limit` most frequent values, equal counts by value.

    `items` is how many items the spread was taken over.
    """
    counts = np.bincount(spread.codes, minlength=len(spread.values))
    # Codes ascend with values, so a stable sort leaves equal counts by value.
    listed = np.argsort(-counts, kind="stable")[:limit]
    here = np.zeros(len(counts), dtype=np.bool_)
    here[listed] = True
    holders = len(np.unique(spread.ordinals))
    named = len(np.unique(spread.ordinals[here[spread.codes]]))
    return Facets(
        counts=[(spread.values[code], int(counts[code])) for code in listed.tolist()],
        items=items,
        missing=items - holders,
        other=holders - named,
        values=len(spread.values),
    )
