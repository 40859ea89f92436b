from __future__ import annotations

import gc
import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from search_service.compiled.walk import Wanted
from search_service.segments.building.planning import Action, BuildPlan
from search_service.segments.errors import SegmentDamaged
from search_service.segments.manifest import Identity
from search_service.segments.segment import Segment
from tests.unit.search_service.segments.support import (
    IDENTITY,
    SmallStore,
    assemble,
    recall_of,
    unit_vectors,
)

COUNT = 2_000
VECTORS = unit_vectors(COUNT)
QUERIES = unit_vectors(100, seed=99)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    store = SmallStore(tmp_path_factory.mktemp("segment"))
    store.add(VECTORS)
    yield assemble(store, BuildPlan(Action.BUILD, 0, COUNT))
    store.close()


@pytest.fixture
def segment(path: Path) -> Iterator[Segment]:
    opened = Segment.open(path, IDENTITY)
    yield opened
    opened.close()


def test_candidates_find_the_nearest(segment: Segment) -> None:
    assert recall_of(segment, QUERIES, 10) >= 0.97


def test_candidates_name_no_node_twice(segment: Segment) -> None:
    for row in segment.candidates(QUERIES, 50, 128):
        nodes = row[row >= 0]
        assert len(nodes) >= 50
        assert len(set(nodes.tolist())) == len(nodes)


def test_candidates_of_one_query_equal_those_of_a_batch(segment: Segment) -> None:
    together = segment.candidates(QUERIES[:20], 30, 128)
    for query, row in zip(QUERIES, together, strict=False):
        alone = segment.candidates(query[None], 30, 128)[0]
        assert len(set(alone.tolist()) & set(row.tolist())) >= 0.9 * len(row)


def test_candidates_are_padded_where_there_are_too_few(segment: Segment) -> None:
    for queries in (QUERIES[:1], QUERIES[:3]):
        found = segment.candidates(queries, COUNT + 10, COUNT + 10)
        assert (found < COUNT).all()
        assert (found >= -1).all()
        assert (found == -1).sum(axis=1).min() >= 10


def test_only_wanted_nodes_are_found(segment: Segment) -> None:
    """A tenth is allowed, of which a half has died."""
    allowed = np.zeros(COUNT + 1, dtype=np.bool_)
    allowed[::10] = True
    died_at = np.full(COUNT + 1, 100, dtype=np.int64)
    died_at[::20] = 3
    wanted = Wanted(False, segment.offsets, segment.ordinals, died_at, 5, allowed)
    found, ended = segment.wanted_candidates(QUERIES, 20, 64, wanted, 1 << 40, 1 << 40)
    assert ended.all()
    counting = allowed[segment.ordinals] & (died_at[segment.ordinals] > 5)
    nodes = np.flatnonzero(counting)
    assert np.isin(found, nodes).all()
    exact = nodes[np.argsort(-(QUERIES @ VECTORS[nodes].T), axis=1)[:, :10]]
    shared = [len(set(a) & set(b)) for a, b in zip(exact.tolist(), found.tolist(), strict=True)]
    assert sum(shared) >= 0.97 * exact.size
    knowing = wanted._replace(share=len(nodes) / segment.manifest.nodes)
    fewer, ended = segment.wanted_candidates(QUERIES, 20, 300, knowing, 1 << 40, 1 << 40)
    assert ended.all()
    shared = [len(set(a) & set(b)) for a, b in zip(exact.tolist(), fewer.tolist(), strict=True)]
    assert sum(shared) >= 0.97 * exact.size


def test_a_walk_is_given_up_where_little_is_wanted_of_what_is_near(segment: Segment) -> None:
    alive = np.full(COUNT + 1, 100, dtype=np.int64)
    ended = []
    for query in QUERIES[:10]:
        far = np.argsort(VECTORS @ query)[: COUNT // 5]
        allowed = np.zeros(COUNT + 1, dtype=np.bool_)
        allowed[segment.ordinals[far]] = True
        wanted = Wanted(False, segment.offsets, segment.ordinals, alive, 5, allowed, 0.2)
        ended += segment.wanted_candidates(query[None], 20, 64, wanted, 1 << 40, 1 << 40)[
            1
        ].tolist()
    assert not any(ended)


def test_a_walk_that_uses_up_its_comparisons_says_so(segment: Segment) -> None:
    nothing = np.zeros(COUNT + 1, dtype=np.bool_)
    alive = np.full(COUNT + 1, 100, dtype=np.int64)
    wanted = Wanted(False, segment.offsets, segment.ordinals, alive, 5, nothing)
    found, ended = segment.wanted_candidates(QUERIES[:4], 20, 64, wanted, 1 << 40, 200)
    assert not ended.any()
    assert (found == -1).all()
    found, ended = segment.wanted_candidates(QUERIES[:4], 20, 64, wanted, 200, 1 << 40)
    assert not ended.any()
    found, ended = segment.wanted_candidates(QUERIES[:4], 20, 64, wanted, 1 << 40, 1 << 40)
    assert ended.all()
    assert (found == -1).all()


def test_the_nearest_of_some_nodes_are_those(segment: Segment) -> None:
    nodes = np.arange(0, COUNT, 7)
    found, scores = segment.nearest_exactly(nodes, QUERIES, 10, len(nodes))
    there = found >= 0
    assert np.isin(found[there], nodes).all()
    assert (scores[~there] == -np.inf).all()
    number, _ = np.nonzero(there)
    exact = np.einsum("nd,nd->n", QUERIES[number], VECTORS[found[there]])
    np.testing.assert_allclose(scores[there], exact, atol=1e-6)
    assert there.sum() < 0.7 * there.size * len(nodes) / found.shape[1], "not all are compared"
    best = nodes[np.argsort(-(QUERIES @ VECTORS[nodes].T), axis=1)[:, :10]]
    shared = [len(set(a) & set(b)) for a, b in zip(best.tolist(), found.tolist(), strict=True)]
    assert sum(shared) >= 0.995 * best.size


def test_no_more_nodes_are_compared_exactly_than_may_be(segment: Segment) -> None:
    nodes = np.arange(0, COUNT, 7)
    found, _ = segment.nearest_exactly(nodes, QUERIES, 10, 40)
    assert found.shape == (len(QUERIES), 40)
    few, scores = segment.nearest_exactly(nodes[:3], QUERIES[:2], 5, 40)
    assert [sorted(row) for row in few.tolist()] == [[0, 7, 14]] * 2
    assert np.isfinite(scores).all()


def test_searches_may_run_at_the_same_time(segment: Segment) -> None:
    alone = segment.candidates(QUERIES, 30, 128)
    with ThreadPoolExecutor(4) as pool:
        calls = [pool.submit(segment.candidates, QUERIES, 30, 128) for _ in range(16)]
    assert all(np.array_equal(call.result(), alone) for call in calls)


@pytest.mark.parametrize(
    "other",
    [
        replace(IDENTITY, uid="collection-2"),
        replace(IDENTITY, model_fingerprint="model-2"),
        replace(IDENTITY, dimension=IDENTITY.dimension + 1),
    ],
)
def test_refuses_what_belongs_to_something_else(path: Path, other: Identity) -> None:
    with pytest.raises(SegmentDamaged, match="another"):
        Segment.open(path, other)


def test_refuses_searches_after_closing(path: Path) -> None:
    opened = Segment.open(path, IDENTITY)
    opened.check_in_background()
    opened.close()
    with pytest.raises(SegmentDamaged, match="closed"):
        opened.candidates(QUERIES, 10, 64)


def test_rows_stay_mapped_while_someone_holds_them(path: Path) -> None:
    opened = Segment.open(path, IDENTITY)
    rows = opened.rows[100:200]
    opened.close()
    del opened
    gc.collect()
    assert np.array_equal(rows, VECTORS[100:200])


def test_rows_are_unmapped_after_the_last_reader(path: Path) -> None:
    name = f"{path.name}/rows-00000.f32"
    before = Path("/proc/self/maps").read_text().count(name)
    opened = Segment.open(path, IDENTITY)
    rows = opened.rows
    assert Path("/proc/self/maps").read_text().count(name) == before + 1
    opened.close()
    del opened, rows
    gc.collect()
    assert Path("/proc/self/maps").read_text().count(name) == before


def test_damaged_rows_are_noticed_when_they_are_found(tmp_path: Path) -> None:
    store = SmallStore(tmp_path)
    store.add(VECTORS)
    made = assemble(store, BuildPlan(Action.BUILD, 0, COUNT))
    store.close()
    rows = made / "rows-00000.f32"
    data = bytearray(rows.read_bytes())
    data[5 * 4 * IDENTITY.dimension] ^= 1  # in row 5
    rows.write_bytes(data)
    opened = Segment.open(made, IDENTITY)
    with pytest.raises(SegmentDamaged, match="row block"):
        opened.candidates(VECTORS[5:6], 10, 64)
    with pytest.raises(SegmentDamaged, match="row block"):
        opened.candidates(VECTORS[1_500:1_501], 10, 64)
    assert opened.damage is not None


def test_no_damage_crashes_or_passes(tmp_path: Path) -> None:
    """In a process of its own: usearch would crash on some of these files."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.unit.search_service.segments.damage_run", tmp_path, "40"],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[4],
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    assert done.returncode == 0, done.stderr
    outcome = json.loads(done.stdout)
    assert outcome["damaged"] == 40
    assert outcome["passed"] == []
