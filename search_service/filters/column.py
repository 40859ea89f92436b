"""What stands under one field path: presence, and values by kind."""

from __future__ import annotations

from collections.abc import Sequence

from pyroaring import BitMap

from search_service.filters.ast import Instant, Prefix, Range, Scalar
from search_service.filters.bounds import range_bounds
from search_service.filters.flatten import FieldValues
from search_service.filters.inverted import InvertedValues
from search_service.filters.timestamps import parse_rfc3339


class Column:
    """The values of one path, by kind; kinds never equal each other.

    A string in RFC 3339 form is kept twice: as the string that it is and as a
    point in time. Not safe across threads: `MetadataIndex` holds the lock.
    """

    def __init__(self) -> None:
        self.present = BitMap()
        self.true = BitMap()
        self.false = BitMap()
        self.strings: InvertedValues[str] = InvertedValues()
        self.numbers: InvertedValues[float] = InvertedValues()
        self.instants: InvertedValues[int] = InvertedValues()

    def add(self, ordinal: int, values: FieldValues) -> None:
        """Say that the item with `ordinal` holds `values`, and nothing else here."""
        self.present.add(ordinal)
        for value in values:
            if isinstance(value, bool):
                (self.true if value else self.false).add(ordinal)
            elif isinstance(value, str):
                self.strings.add(ordinal, value)
                epoch_us = parse_rfc3339(value)
                if epoch_us is not None:
                    self.instants.add(ordinal, epoch_us)
            else:
                self.numbers.add(ordinal, value)

    def remove(self, ordinal: int, values: FieldValues) -> None:
        """Take `add` back, with the same arguments."""
        self.present.discard(ordinal)
        for value in values:
            if isinstance(value, bool):
                (self.true if value else self.false).discard(ordinal)
            elif isinstance(value, str):
                self.strings.discard(ordinal, value)
                epoch_us = parse_rfc3339(value)
                if epoch_us is not None:
                    self.instants.discard(ordinal, epoch_us)
            else:
                self.numbers.discard(ordinal, value)

    def equal(self, values: Sequence[Scalar]) -> BitMap:
        """Ordinals that hold one of `values`, as a new bitmap."""
        booleans = [v for v in values if isinstance(v, bool)]
        strings = [v for v in values if isinstance(v, str)]
        instants = [v.epoch_us for v in values if isinstance(v, Instant)]
        numbers = [v for v in values if isinstance(v, float | int) and not isinstance(v, bool)]
        found = BitMap()
        if True in booleans:
            found |= self.true
        if False in booleans:
            found |= self.false
        if strings:
            found |= self.strings.equal(strings)
        if instants:
            found |= self.instants.equal(instants)
        if numbers:
            found |= self.numbers.equal(numbers)
        return found

    def in_range(self, node: Range) -> BitMap:
        """Ordinals that hold a value between the bounds, as a new bitmap."""
        bounds = (node.greater_than, node.at_least, node.less_than, node.at_most)
        first = next(bound for bound in bounds if bound is not None)
        if isinstance(first, Instant):
            return self.instants.where(range_bounds(node, lambda bound: bound.epoch_us).holds)
        values = self.strings if isinstance(first, str) else self.numbers
        return values.where(range_bounds(node, lambda bound: bound).holds)

    def with_prefix(self, node: Prefix) -> BitMap:
        """Ordinals that hold a string with the prefix, as a new bitmap."""
        return self.strings.where(lambda value: value.startswith(node.prefix))
