"""Which partition an item belongs to."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def partition_of(item_id: str, partitions: int) -> int:
    """Return the partition of an id, for good: it is part of how data lies.

    BLAKE2b rather than Python's hash, which differs from process to process, and modulo
    rather than a ring: partitions of a collection are never added or taken away.
    """
    digest = hashlib.blake2b(item_id.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") % partitions


def divide(
    items: Iterable[T], key: Callable[[T], str], partitions: int
) -> dict[int, list[tuple[int, T]]]:
    """Return the items of each partition with their places, in order; none for one without."""
    divided: dict[int, list[tuple[int, T]]] = {}
    for place, item in enumerate(items):
        divided.setdefault(partition_of(key(item), partitions), []).append((place, item))
    return divided


def put_together(
    divided: Mapping[int, Sequence[tuple[int, object]]], parts: Sequence[Sequence[R]], count: int
) -> list[R | None]:
    """Return what each partition gave for its items at the items' places, of `count` in all."""
    found: list[R | None] = [None] * count
    for pairs, given in zip(divided.values(), parts, strict=True):
        for (place, _), each in zip(pairs, given, strict=True):
            found[place] = each
    return found
