"""Changes and pages at random, told as data: the same for the fake and the real service.

The fake is the model: a dictionary of items, gone through one by one.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from lookalike_client import Client, LookalikeError, Query, VectorItem

STEPS = 60
COLLECTION = "random"
_FILTERS = (
    "a = 1",
    "a > 1 or b = 'x'",
    "not exists(b)",
    "c.d in [1, 2] and a < 3",
    "exists(c.d)",
    "b startswith 'x'",
)
_LEAVES: tuple[Any, ...] = (
    None,
    1,
    True,
    False,
    0,
    2,
    3,
    "x",
    "xy",
    True,
    [1, "x"],
    {"d": 1},
    {"d": None},
    {},
)


def random_scenario(client: Client, seed: int) -> Iterator[tuple[str, Any]]:
    """Change a small collection in every way, and tell after each what it holds."""
    choices = random.Random(seed)
    client.collections.create(COLLECTION, model=None, dimension=3)
    steps = (_store, _store, _merge, _replace, _delete, _update_many, _delete_many, _page)
    for number in range(STEPS):
        step = choices.choice(steps)
        yield f"{number} {step.__name__}", step(client, choices)
        held = [(each.id, each.metadata) for each in client.list(COLLECTION)]
        yield f"{number} then", held
    client.collections.delete(COLLECTION)


def _store(client: Client, choices: random.Random) -> object:
    items = [
        VectorItem(each, [choices.randint(1, 5) for _ in range(3)], _metadata(choices))
        for each in _ids(choices)
    ]
    return [each.status.value for each in client.upsert_vectors(COLLECTION, items)]


def _merge(client: Client, choices: random.Random) -> object:
    patches = {each: _metadata(choices) for each in _ids(choices)}
    results = client.update_metadata(COLLECTION, patches, merge=True)
    return [(each.id, each.status.value) for each in results]


def _replace(client: Client, choices: random.Random) -> object:
    results = client.update_metadata(COLLECTION, {each: {"a": 1} for each in _ids(choices)[:2]})
    # What waits for a vector is the real service's own; the fake has no such thing.
    missing = [each.id for each in results if each.status.value == "not_found"]
    client.delete(COLLECTION, missing or ["none"])
    return [(each.id, each.status.value) for each in results]


def _delete(client: Client, choices: random.Random) -> object:
    results = client.delete(COLLECTION, _ids(choices)[:1])
    return [(each.id, each.status.value) for each in results]


def _update_many(client: Client, choices: random.Random) -> object:
    condition, merge = _condition(choices), choices.random() < 0.7
    metadata = _metadata(choices)
    try:
        *_, last = client.update_by_filter(COLLECTION, metadata, condition, merge=merge)
    except LookalikeError as error:
        return condition, error.reason.name, error.field
    return condition, last.matched, last.items, last.updated, last.unchanged, last.failed


def _delete_many(client: Client, choices: random.Random) -> object:
    condition = _condition(choices)
    *_, last = client.delete_by_filter(COLLECTION, condition)
    return condition, last.matched, last.items, last.deleted


def _page(client: Client, choices: random.Random) -> object:
    query = Query.by_vector([choices.randint(1, 5) for _ in range(3)])
    limit = choices.randint(1, 4)
    condition = choices.choice((None, _condition(choices)))
    found = list(client.search_pages(COLLECTION, query, limit=limit, filter=condition))
    return [[(hit.id, hit.score, hit.metadata) for hit in page.hits] for page in found]


def _condition(choices: random.Random) -> str:
    return choices.choice(_FILTERS)


def _ids(choices: random.Random) -> list[str]:
    return choices.sample([f"i{n}" for n in range(12)], choices.randint(1, 6))


def _metadata(choices: random.Random) -> dict[str, Any]:
    return {key: choices.choice(_LEAVES) for key in "abc" if choices.random() < 0.6}
