"""Made-up metadata of ten fields and filters on them, for measurements."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

from search_service.domain.conditions import (
    AllOf,
    AnyOf,
    Equals,
    Exists,
    Filter,
    In,
    Instant,
    NoneOf,
    Prefix,
    Range,
)
from search_service.domain.metadata import JsonValue, Metadata
from tests.unit.search_service.filters.printing import format_rfc3339

_FIRST_US = 1_577_836_800_000_000  # 2020-01-01
_YEAR_US = 365 * 86_400 * 1_000_000
_TAGS = [f"tag-{i}" for i in range(50)]
_OWNERS = 50_000


def make_items(count: int, seed: int) -> Iterator[tuple[int, Metadata]]:
    """Yield ordinals 0 to `count` - 1 with metadata of ten fields.

    Distinct values: category 20 (uneven), brand 300, rating 501, camera.model
    100, tags 50 in lists of 3, on_sale 2; owner 50,000; price, taken and name
    differ from item to item. One item in ten has no rating.
    """
    rng = random.Random(seed)
    for ordinal in range(count):
        metadata: dict[str, JsonValue] = {
            "category": f"category-{int(20 * rng.random() ** 2)}",
            "brand": f"brand-{rng.randrange(300)}",
            "tags": rng.sample(_TAGS, 3),
            "price": rng.random() * 1000,
            "taken": format_rfc3339(_FIRST_US + rng.randrange(5 * _YEAR_US)),
            "on_sale": rng.random() < 0.1,
            "name": f"{rng.randrange(36**6):09d}-{ordinal}",
            "camera": {"model": f"model-{rng.randrange(100)}"},
            "owner": f"owner-{rng.randrange(_OWNERS)}",
        }
        if rng.random() < 0.9:
            metadata["rating"] = rng.randrange(501) / 100
        yield ordinal, metadata


def make_filters(count: int, seed: int) -> list[tuple[str, Filter]]:
    """Make filters with the name of their kind: each kind alike often."""
    rng = random.Random(seed)
    kinds = list(_KINDS.items())
    made = (kinds[i % len(kinds)] for i in range(count))
    return [(name, make(rng)) for name, make in made]


def _price(rng: random.Random) -> Filter:
    width = 1000 * rng.choice((0.0001, 0.001, 0.01, 0.1, 0.5, 0.9))
    low = rng.random() * (1000 - width)
    return Range(("price",), at_least=low, less_than=low + width)


def _taken(rng: random.Random) -> Filter:
    width = int(5 * _YEAR_US * rng.choice((0.001, 0.01, 0.1, 0.5, 0.9)))
    low = _FIRST_US + rng.randrange(5 * _YEAR_US - width)
    return Range(("taken",), at_least=Instant(low), less_than=Instant(low + width))


def _category(rng: random.Random) -> Filter:
    return Equals(("category",), f"category-{rng.randrange(20)}")


def _brands(rng: random.Random) -> Filter:
    brands = rng.sample(range(300), rng.choice((2, 10, 100)))
    return In(("brand",), tuple(f"brand-{i}" for i in brands))


def _owners(rng: random.Random) -> Filter:
    owners = rng.sample(range(_OWNERS), rng.choice((2, 10, 100)))
    return In(("owner",), tuple(f"owner-{i}" for i in owners))


def _name(rng: random.Random) -> Filter:
    return Prefix(("name",), f"{rng.randrange(36**6):09d}"[: rng.choice((1, 2, 3, 5))])


def _rating(rng: random.Random) -> Filter:
    return Range(("rating",), greater_than=rng.random() * 5)


_LEAVES: tuple[Callable[[random.Random], Filter], ...] = (
    _price,
    _taken,
    _category,
    _brands,
    _owners,
    _name,
    _rating,
    lambda rng: Equals(("tags",), rng.choice(_TAGS)),
    lambda rng: Equals(("on_sale",), rng.random() < 0.5),
    lambda rng: Equals(("camera", "model"), f"model-{rng.randrange(100)}"),
    lambda rng: Exists(("rating",)),
)


def _leaves(rng: random.Random, least: int, most: int) -> tuple[Filter, ...]:
    return tuple(rng.choice(_LEAVES)(rng) for _ in range(rng.randint(least, most)))


_KINDS: dict[str, Callable[[random.Random], Filter]] = {
    "equals": _category,
    "in": lambda rng: (_brands if rng.random() < 0.5 else _owners)(rng),
    "range": lambda rng: rng.choice((_price, _taken, _rating))(rng),
    "prefix": _name,
    "exists": lambda rng: Exists(("rating",)),
    "not": lambda rng: NoneOf(rng.choice(_LEAVES)(rng)),
    "and": lambda rng: AllOf(_leaves(rng, 2, 5)),
    "or": lambda rng: AnyOf(_leaves(rng, 2, 5)),
    "nested": lambda rng: AllOf((AnyOf(_leaves(rng, 2, 3)), NoneOf(AnyOf(_leaves(rng, 2, 3))))),
}
