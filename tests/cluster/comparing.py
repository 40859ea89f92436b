"""How two collections differ, item by item."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from lookalike_client import Client, Fields, Item

_ALL = Fields(metadata=True, facts=True, vector=True, thumbnail=True)


@dataclass(frozen=True, slots=True)
class Difference:
    """Ids that only one of two collections has, ids whose metadata or facts differ, and the
    least cosine of the vectors of one id."""

    items: int
    only_in_one: list[str]
    other_metadata: list[str]
    other_facts: list[str]
    least_cosine: float


def difference(client: Client, one: str, other: str) -> Difference:
    """Compare two collections of one service, facts without what is lossy."""
    left, right = (_items(client, each) for each in (one, other))
    both = sorted(left.keys() & right.keys())
    pairs = [(id, left[id], right[id]) for id in both]
    return Difference(
        items=len(both),
        only_in_one=sorted(left.keys() ^ right.keys()),
        other_metadata=[id for id, a, b in pairs if a.metadata != b.metadata],
        other_facts=[id for id, a, b in pairs if _facts(a) != _facts(b)],
        least_cosine=min((_cosine(a, b) for _, a, b in pairs), default=0.0),
    )


def _items(client: Client, collection: str) -> dict[str, Item]:
    return {item.id: item for item in client.list(collection, fields=_ALL)}


def _facts(item: Item) -> object:
    return item.facts and replace(item.facts, thumbnail_webp=b"")


def _cosine(one: Item, other: Item) -> float:
    assert one.vector is not None
    assert other.vector is not None
    return float(np.dot(one.vector, other.vector))
