"""An analysis goes on without a graph that is damaged: its items are compared exactly."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from search_service.analysis.gallery import Gallery
from search_service.analysis.neighbours import Exact, Graphs
from search_service.segments.building.planning import Action, BuildPlan
from search_service.segments.segment import Segment
from tests.unit.search_service.segments.support import (
    DIMENSION,
    IDENTITY,
    SmallStore,
    assemble,
    unit_vectors,
)

COUNT, COVERED = 900, 800
VECTORS = unit_vectors(COUNT, seed=3)
GALLERY = Gallery(
    ids=[str(row) for row in range(COUNT)],
    ordinals=np.arange(1, COUNT + 1),
    vectors=VECTORS,
    metadata=[b"{}"] * COUNT,
    facts=[b""] * COUNT,
    versions=np.arange(1, COUNT + 1),
)


def test_a_walk_that_meets_damage_is_answered_exactly(tmp_path: Path) -> None:
    store = SmallStore(tmp_path)
    store.add(VECTORS)
    made = [
        assemble(store, BuildPlan(Action.BUILD, first, last))
        for first, last in ((0, COVERED // 2), (COVERED // 2, COVERED))
    ]
    store.close()
    rows = made[1] / "rows-00000.f32"
    data = bytearray(rows.read_bytes())
    data[5 * 4 * DIMENSION] ^= 1  # in row 5
    rows.write_bytes(data)
    graphs = Graphs(GALLERY, [Segment.open(path, IDENTITY) for path in made])
    assert graphs.covered == COVERED
    with ThreadPoolExecutor(2) as pool:
        parts = list(
            pool.map(lambda at: graphs.nearest(VECTORS[at : at + 300], 5, 256), (0, 300, 600))
        )
    found = np.concatenate([part.rows for part in parts])
    exact = Exact(GALLERY).nearest(VECTORS, 5)
    assert (found[:, 0] == np.arange(COUNT)).all()
    # Of the items of the damaged graph nothing is approximate any more.
    within = (exact.rows >= COVERED // 2).all(axis=1)
    assert within.any()
    assert (found[within] == exact.rows[within]).all()
    # What a graph's own order is asked for comes from the others.
    order = graphs.in_compact_order(VECTORS[:10], 5, 64)
    assert ((order >= 0) & (order < COVERED // 2)).all()
    assert order[:, 0].tolist() == list(range(10))


def test_without_a_graph_left_all_is_compared() -> None:
    graphs = Graphs(GALLERY, [])
    found = graphs.nearest(VECTORS[:20], 4, 64)
    assert found.rows.tolist() == Exact(GALLERY).nearest(VECTORS[:20], 4).rows.tolist()
    assert (graphs.in_compact_order(VECTORS[:3], 4, 64) == -1).all()
