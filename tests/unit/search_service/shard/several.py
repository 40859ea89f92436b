"""Items with several vectors, for the tests of shards."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from search_service.domain.mutations import Upsert
from search_service.shard.shard import STORE
from search_service.store.checker import look
from search_service.store.damage import StoreHealth
from search_service.store.schema import open_reader
from tests.unit.search_service.shard.kit import random_units

DIMENSION = 4
VECTORS = random_units(24, DIMENSION, seed=3)


def item(id: str, rows: list[int], colour: str = "red") -> Upsert:
    further = tuple(VECTORS[row] for row in rows[1:])
    return Upsert(id, VECTORS[rows[0]], {"colour": colour}, further=further)


def same_hits(hits: object, want: list[tuple[float, str, int]]) -> None:
    assert isinstance(hits, list | tuple)
    assert [hit.id for hit in hits] == [id for _, id, _ in want]
    np.testing.assert_allclose(
        [hit.score for hit in hits], [score for score, _, _ in want], atol=1e-7
    )
    assert [hit.matched for hit in hits] == [place for _, _, place in want]


def checked(directory: Path) -> StoreHealth:
    """Read a closed store through."""
    health = StoreHealth("photos")
    db = open_reader(directory / STORE, "")
    look(db, DIMENSION, health)
    db.close()
    return health
