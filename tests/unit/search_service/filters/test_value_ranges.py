"""Ranges over columns of few values, while items change."""

from __future__ import annotations

import random
from typing import Any

from pyroaring import BitMap

from search_service.domain.conditions import Filter, Range
from search_service.filters.index import MetadataIndex
from search_service.filters.sorted_values import SortedValues
from tests.unit.search_service.filters.reference import meets

Items = dict[int, dict[str, Any]]


def expected(items: Items, filter: Filter) -> BitMap:
    return BitMap(ordinal for ordinal, held in items.items() if meets(filter, held))


def test_ranges_over_hundreds_of_values_follow_changes() -> None:
    """Ranges keep unions of neighbouring values, which each change must reach."""
    rng = random.Random(9)
    index, items = MetadataIndex(), Items()

    def check() -> None:
        for _ in range(4):
            low = float(rng.randrange(400))
            high = low + rng.choice((1, 15, 16, 17, 40, 200, 400))
            question = Range(("rating",), greater_than=low, at_most=high)
            assert index.evaluate(question) == expected(items, question), question

    for ordinal in range(1_500):
        items[ordinal] = {"rating": [rng.randrange(300) for _ in range(rng.randrange(3))]}
        index.add(ordinal, items[ordinal])
    (column,) = (column for path, column in index.frozen_copy()[1] if path == ("rating",))
    assert not isinstance(column.numbers.form, SortedValues)
    check()
    for ordinal in rng.sample(range(1_500), 40):
        index.remove(ordinal, items.pop(ordinal))
        check()
        if rng.random() < 0.5:
            items[ordinal] = {"rating": rng.randrange(400)}  # at times a value that is new
            index.add(ordinal, items[ordinal])
            check()
    gone = BitMap(range(0, 1_500, 3))
    index.remove_all(gone)
    items = {ordinal: held for ordinal, held in items.items() if ordinal not in gone}
    check()
