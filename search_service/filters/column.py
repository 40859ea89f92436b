"""What stands under one field path: presence, and values by kind."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from pyroaring import BitMap

from lookalike.wire.times import parse_time
from search_service.domain.conditions import Instant, Prefix, Range, Scalar, Text
from search_service.filters import text_search
from search_service.filters.bounds import (
    EVERYTHING,
    encode,
    instant_bounds,
    number_bounds,
    prefix_bounds,
    range_kind,
    text_bounds,
)
from search_service.filters.flatten import FieldValues
from search_service.filters.keys import NumberKeys, TextKeys
from search_service.filters.texts import TextTest
from search_service.filters.values import Values


class Column:
    """The values of one path, by kind; kinds never equal each other.

    A string that is a time (`lookalike.wire.times`) is kept twice: as the string that
    it is and as a point in time. Not safe across threads: `MetadataIndex` holds the lock.
    """

    def __init__(self) -> None:
        self.present = BitMap()
        self.true = BitMap()
        self.false = BitMap()
        self.texts: Values[bytes] = Values(TextKeys.of)
        self.numbers: Values[float] = Values(NumberKeys.of_floats)
        self.instants: Values[int] = Values(NumberKeys.of_ints)

    @property
    def kinds(self) -> tuple[Values[Any], ...]:
        """All but the booleans."""
        return self.texts, self.numbers, self.instants

    def copy(self) -> Column:
        """A copy that later changes leave alone."""
        copied = Column()
        copied.present = self.present.copy()
        copied.true = self.true.copy()
        copied.false = self.false.copy()
        copied.texts = self.texts.copy()
        copied.numbers = self.numbers.copy()
        copied.instants = self.instants.copy()
        return copied

    def add(self, ordinal: int, values: FieldValues) -> None:
        """Say that the item with `ordinal` holds `values`, and nothing else here."""
        self.present.add(ordinal)
        for value in values:
            if isinstance(value, bool):
                (self.true if value else self.false).add(ordinal)
            elif isinstance(value, str):
                self.texts.form.add(ordinal, encode(value))
                epoch_us = parse_time(value)
                if epoch_us is not None:
                    self.instants.form.add(ordinal, epoch_us)
            else:
                self.numbers.form.add(ordinal, value)

    def remove(self, ordinal: int, values: FieldValues) -> None:
        """Take `add` back, with the same arguments."""
        self.present.discard(ordinal)
        for value in values:
            if isinstance(value, bool):
                (self.true if value else self.false).discard(ordinal)
            elif isinstance(value, str):
                self.texts.form.discard(ordinal, encode(value))
                epoch_us = parse_time(value)
                if epoch_us is not None:
                    self.instants.form.discard(ordinal, epoch_us)
            else:
                self.numbers.form.discard(ordinal, value)

    def remove_all(self, ordinals: BitMap) -> None:
        """Forget all that the items hold."""
        for bitmap in (self.present, self.true, self.false):
            bitmap -= ordinals  # noqa: PLW2901  in place
        for values in self.kinds:
            values.form.discard_all(ordinals)

    def equal(self, values: Sequence[Scalar]) -> BitMap:
        """Ordinals that hold one of `values`, as a new bitmap."""
        texts, numbers, instants = _by_kind(values)
        found = [self.texts.equal(texts)] if texts else []
        if numbers:
            found.append(self.numbers.equal(numbers))
        if instants:
            found.append(self.instants.equal(instants))
        booleans = self._booleans(values)
        if len(found) == 1 and not booleans:
            return found[0]  # new already
        return BitMap.union(BitMap(), *found, *booleans)

    def in_range(self, node: Range) -> BitMap:
        """Ordinals that hold a value between the bounds, as a new bitmap."""
        kind = range_kind(node)
        if kind is Instant:
            return self.instants.between(instant_bounds(node))
        if kind is str:
            return self.texts.between(text_bounds(node))
        return self.numbers.between(number_bounds(node))

    def with_prefix(self, node: Prefix) -> BitMap:
        """Ordinals that hold a string with the prefix, as a new bitmap."""
        return self.texts.between(prefix_bounds(encode(node.prefix)))

    def fitting(self, node: Text) -> BitMap:
        """Ordinals that hold a string that fits, as a new bitmap."""
        return text_search.find(self.texts, TextTest.of(node))

    def count_equal(self, values: Sequence[Scalar]) -> int:
        """Count, about, the ordinals that hold one of `values`."""
        texts, numbers, instants = _by_kind(values)
        counted = sum(len(bitmap) for bitmap in self._booleans(values))
        counted += self.texts.count_equal(texts) + self.numbers.count_equal(numbers)
        return counted + self.instants.count_equal(instants)

    def count_in_range(self, node: Range) -> int:
        """Count, about, the ordinals that hold a value between the bounds."""
        kind = range_kind(node)
        if kind is Instant:
            return self.instants.count_between(instant_bounds(node))
        if kind is str:
            return self.texts.count_between(text_bounds(node))
        return self.numbers.count_between(number_bounds(node))

    def count_with_prefix(self, node: Prefix) -> int:
        """Count, about, the ordinals that hold a string with the prefix."""
        return self.texts.count_between(prefix_bounds(encode(node.prefix)))

    def count_of_kind(self, kind: type[Scalar]) -> int:
        """Count the items that hold a value of that kind; milliseconds for a million."""
        if kind is bool:
            return len(self.true | self.false)
        if kind is Instant:
            return len(self.instants.between(EVERYTHING))
        if kind is str:
            return len(self.texts.between(EVERYTHING))
        return len(self.numbers.between(EVERYTHING))

    def count_fitting(self, node: Text) -> int:
        """Count, about, the ordinals that hold a string that fits."""
        return text_search.count(self.texts, TextTest.of(node))

    def _booleans(self, values: Iterable[Scalar]) -> list[BitMap]:
        wanted = {value for value in values if isinstance(value, bool)}
        return [self.true if value else self.false for value in wanted]


def _by_kind(values: Iterable[Scalar]) -> tuple[set[bytes], set[float], set[int]]:
    texts: set[bytes] = set()
    numbers: set[float] = set()
    instants: set[int] = set()
    for value in values:
        if isinstance(value, str):
            texts.add(encode(value))
        elif isinstance(value, Instant):
            instants.add(value.epoch_us)
        elif not isinstance(value, bool):
            numbers.add(float(value))
    return texts, numbers, instants
