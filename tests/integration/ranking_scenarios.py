"""What a caller asks where more than likeness orders the hits, told as data."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, TypeAlias

from lookalike_client import Client, Example, Hit, Query, SearchResult

Told: TypeAlias = Callable[[Hit], Any]
Refused: TypeAlias = Callable[[Callable[[], Any]], Any]

BOOSTS = [
    "0.5 * linear(price, 0, 50)",
    "-2 * linear(price, 50, 0, missing=0.5)",
    "0.3 * log(price, 0, 100)",
    "0.9 * gauss(taken, @2024-03-02, 1d)",
    "0.9 * exp(price, 20, 10, offset=5, at=0.25)",
    "0.9 * decay(camera.iso, 300, 50, missing=1)",
]
WRONG_BOOSTS = [
    "11 * linear(price, 0, 50)",
    "1 * linear(price, 50, 50)",
    "1 * linear(price, 50, @2024-01-01)",
    "1 * log(price, 5, 1)",
    "1 * gauss(price, 5, 0)",
    "1 * gauss(price, 5, 1, missing=2)",
]


def rankings(
    client: Client, near: Query, told: Told, refused: Refused
) -> Iterator[tuple[str, Any]]:
    """Searches of a collection that holds what `client_scenarios` stored.

    `told` says what a hit is, `refused` what is wrong with a call.
    """

    def ranked(result: SearchResult) -> Any:
        return [(told(hit), round(hit.rank_score or 0.0, 6), _parts(hit)) for hit in result.hits]

    for text in BOOSTS:
        yield f"boost {text}", ranked(client.search("shelf", near, boosts=[text], explain=True))
    both = client.search("shelf", near, boosts=BOOSTS[:2], diversity=0.5, limit=3, explain=True)
    yield "boosts and diversity", ranked(both)
    yield "diverse", ranked(client.search("shelf", near, diversity=0.7, candidates=10))
    yield (
        "few candidates",
        ranked(client.search("shelf", near, boosts=BOOSTS[:1], limit=2, candidates=2)),
    )
    positives = [Example.by_id("g1"), Example.by_vector([0, 0, 1])]
    for name, negatives in {"none": [], "one": [Example.by_vector([0.1, 1, 0])]}.items():
        query = Query.by_examples(positives, negatives, best_score=True)
        yield f"best score, {name}", ranked(client.search("shelf", query, explain=True))
        yield (
            f"boosted best score, {name}",
            ranked(client.search("shelf", query, boosts=BOOSTS[:1], diversity=0.2, min_score=0.1)),
        )
    best = Query.by_examples(positives, best_score=True)
    yield "grouped best", refused(partial(client.search, "shelf", best, group_by="kind"))
    yield (
        "grouped diversity",
        refused(partial(client.search, "shelf", near, group_by="kind", diversity=0.5)),
    )
    for text in WRONG_BOOSTS:
        yield f"wrong {text}", refused(partial(client.search, "shelf", near, boosts=[text]))
    for name, diversity in {"above": 1.5, "below": -0.5}.items():
        yield (
            f"diversity {name}",
            refused(partial(client.search, "shelf", near, diversity=diversity)),
        )
    yield (
        "fewer candidates than hits",
        refused(partial(client.search, "shelf", near, diversity=0.5, candidates=5)),
    )


def _parts(hit: Hit) -> Any:
    if hit.ranking is None:
        return None
    parts = [
        (part.value, round(part.curve, 5), round(part.added, 5)) for part in hit.ranking.boosts
    ]
    said = (hit.ranking.redundancy, hit.ranking.negative)
    return parts, [None if each is None else round(each, 5) for each in said]
