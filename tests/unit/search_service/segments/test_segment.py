from __future__ import annotations

import gc
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from search_service.segments.errors import SegmentDamaged
from search_service.segments.manifest import Identity
from search_service.segments.planning import Action, Plan
from search_service.segments.segment import Segment
from tests.unit.search_service.segments.support import (
    IDENTITY,
    SmallStore,
    all_candidates,
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
    yield assemble(store, Plan(Action.BUILD, 0, COUNT))
    store.close()


@pytest.fixture
def segment(path: Path) -> Iterator[Segment]:
    opened = Segment.open(path, IDENTITY)
    yield opened
    opened.close()


def test_scan_is_exact(segment: Segment) -> None:
    exact = np.argsort(-(QUERIES @ VECTORS.T), axis=1)[:, :25]
    assert np.array_equal(np.sort(segment.scan(QUERIES, 25, 1)), np.sort(exact))


def test_scan_returns_all_when_there_are_fewer_than_asked_for(segment: Segment) -> None:
    assert segment.scan(QUERIES[:1], COUNT + 5, 1).shape == (1, COUNT)


def test_candidates_find_the_nearest(segment: Segment) -> None:
    assert recall_of(segment, QUERIES, 10) >= 0.97


def test_candidates_name_no_node_twice(segment: Segment) -> None:
    for row in all_candidates(segment, QUERIES, 50, threads=2):
        nodes = row[row >= 0]
        assert len(nodes) >= 50
        assert len(set(nodes.tolist())) == len(nodes)


def test_candidates_of_one_query_equal_those_of_a_batch(segment: Segment) -> None:
    together = all_candidates(segment, QUERIES[:20], 30, threads=2)
    for query, row in zip(QUERIES, together, strict=False):
        alone = all_candidates(segment, query[None], 30)[0]
        assert len(set(alone.tolist()) & set(row.tolist())) >= 0.9 * len(row)


def test_candidates_are_padded_where_there_are_too_few(segment: Segment) -> None:
    for queries in (QUERIES[:1], QUERIES[:3]):
        found = all_candidates(segment, queries, COUNT + 10, COUNT + 10)
        assert (found < COUNT).all()
        assert (found >= -1).all()
        assert (found == -1).sum(axis=1).min() >= 10


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
        opened.candidates(QUERIES, 10, 64, 1)


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
    made = assemble(store, Plan(Action.BUILD, 0, COUNT))
    store.close()
    rows = made / "rows-00000.f32"
    data = bytearray(rows.read_bytes())
    data[5 * 4 * IDENTITY.dimension] ^= 1  # in row 5
    rows.write_bytes(data)
    opened = Segment.open(made, IDENTITY)
    with pytest.raises(SegmentDamaged, match="row block"):
        opened.candidates(VECTORS[5:6], 10, 64, 1)
    with pytest.raises(SegmentDamaged, match="row block"):
        opened.candidates(VECTORS[1_500:1_501], 10, 64, 1)
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
