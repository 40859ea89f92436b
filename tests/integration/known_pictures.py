"""A bank of four known pictures, and ways to ask about others."""

from __future__ import annotations

from itertools import count

import numpy as np
from PIL import Image

from lookalike_client import (
    Client,
    ImageFacts,
    MatchEvidence,
    MatchItem,
    MatchOptions,
    MatchResult,
    VectorItem,
)
from tests.bench.analysis.copies import as_jpeg
from tests.integration.picture_facts import facts_of, png

DIMENSION = 16
RNG = np.random.default_rng(5)
VECTORS = np.linalg.qr(RNG.normal(size=(DIMENSION, DIMENSION)))[0].astype(np.float32)
# With structure at the frequencies that PDQ looks at.
COARSE = RNG.integers(0, 256, (4, 20, 20, 3), dtype=np.uint8)
PICTURES = [Image.fromarray(each).resize((200, 150)) for each in COARSE]
FACTS = [facts_of(png(picture)) for picture in PICTURES]
COPY = facts_of(as_jpeg(PICTURES[0], 40))
UNKNOWN = "f0" * 32
NUMBERS = count()


def make_bank(client: Client) -> str:
    """Four known pictures with vectors at right angles, and a vector without a picture."""
    name = f"bank-{next(NUMBERS)}"
    client.collections.create(name, model=None, dimension=DIMENSION)
    items = [
        VectorItem(f"known-{n}", VECTORS[n], {"n": n}, facts=FACTS[n]) for n in range(len(PICTURES))
    ]
    store(client, name, *items, VectorItem("vector-only", VECTORS[4], {"n": 4}))
    return name


def store(client: Client, name: str, *items: VectorItem) -> None:
    results = list(client.upsert_vectors(name, items))
    assert all(each.error is None for each in results)


def turned(n: int, cosine: float) -> list[float]:
    """A vector that has this cosine to known picture `n`, and none to the others."""
    away = np.sqrt(1 - cosine**2) * VECTORS[DIMENSION - 1]
    vector: list[float] = (cosine * VECTORS[n] + away).tolist()
    return vector


def ask(client: Client, name: str, item: MatchItem, **options: object) -> MatchResult:
    given = MatchOptions(**{"threshold": 0.9, **options})  # type: ignore[typeddict-item]
    (result,) = client.banks.match(name, [item], **given)
    return result


def top(result: MatchResult) -> MatchEvidence:
    assert result.error is None
    return result.evidence[0]


def signals(n: int, cosine: float, facts: ImageFacts | None) -> MatchItem:
    if facts is None:
        return MatchItem("asked", vector=turned(n, cosine))
    return MatchItem("asked", None, "", turned(n, cosine), facts.pdq_hash, facts.pdq_quality)
