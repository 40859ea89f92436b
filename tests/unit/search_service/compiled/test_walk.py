from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from usearch import index as usearch

from lookalike.wire.vectors import F32
from search_service.compiled.usearch_file import read_graph
from search_service.domain.collection import Dtype, IndexSettings, Preset
from search_service.segments.building.graph import Graph
from search_service.segments.errors import SegmentDamaged
from search_service.segments.graph_view import GraphView
from tests.unit.search_service.segments.support import unit_vectors

COUNT, WIDTH = 3_000, 48
VECTORS = unit_vectors(COUNT, seed=1)
QUERIES = unit_vectors(60, seed=2)
NO_SIDE = np.empty(0, dtype=np.int32)
_usearch: Any = usearch


def scaled(rows: F32, dtype: Dtype) -> Any:
    if dtype in (Dtype.I8, Dtype.I4):
        return np.rint(rows * 250).clip(-127, 127).astype(np.int8)
    return rows


def built(path: Path, dtype: Dtype, *, reduced: bool, threads: int = 2) -> GraphView:
    settings = IndexSettings(Preset.BALANCED, dtype, 16, 64, 64, 0)
    graph = Graph(settings, WIDTH, reduced=reduced)
    graph.add(scaled(VECTORS[: COUNT // 2], dtype), threads)
    graph.add(scaled(VECTORS[COUNT // 2 :], dtype), threads)
    graph.save(path)
    return GraphView.open(path, dtype, WIDTH, reduced=reduced)


# Of nibbles, which usearch does not search: see test_packed.py.
@pytest.mark.parametrize("dtype", [dtype for dtype in Dtype if dtype is not Dtype.I4])
@pytest.mark.parametrize("reduced", [False, True])
def test_a_walk_finds_what_usearch_finds(tmp_path: Path, dtype: Dtype, reduced: bool) -> None:
    path = tmp_path / "graph"
    graph = built(path, dtype, reduced=reduced)
    found, ended = graph.search(scaled(QUERIES, dtype), 20, 80, side=NO_SIDE)
    assert ended.all()
    index = _usearch.Index.restore(str(path), view=True)
    index.expansion_search = 80
    theirs = np.asarray(index.search(scaled(QUERIES, dtype), 20).keys).astype(np.int64)
    index.reset()
    shared = [len(set(a) & set(b)) for a, b in zip(theirs.tolist(), found.tolist(), strict=True)]
    assert sum(shared) >= 0.995 * theirs.size
    assert (found[:, 0] == theirs[:, 0]).mean() >= 0.95


def test_side_nodes_are_compared_in_any_case(tmp_path: Path) -> None:
    graph = built(tmp_path / "graph", Dtype.F32, reduced=True)
    exact = np.argsort(np.square(QUERIES[:, None] - VECTORS[None]).sum(axis=2), axis=1)
    graph.near[:] = -1  # nothing can be reached but the entry
    found, _ = graph.search(QUERIES, 5, 16, side=NO_SIDE)
    assert (found >= 0).sum() == len(QUERIES)
    found, _ = graph.search(QUERIES, 5, 16, side=np.arange(COUNT, dtype=np.int32))
    assert np.array_equal(found, exact[:, :5])


def test_a_walk_ends_at_its_goal(tmp_path: Path) -> None:
    # How many two threads leave unreachable is another number each time.
    graph = built(tmp_path / "graph", Dtype.F32, reduced=True, threads=1)
    goals = np.arange(200)
    found, ended = graph.search(VECTORS[:200], 10, 48, side=NO_SIDE, goals=goals)
    assert ended.all()
    reached = found[:, 0] == goals
    assert reached.mean() >= 0.97, "all but what is not linked"
    assert (found[reached, 1:] == -1).all()
    assert (found[~reached, 1:] >= 0).all()


def test_an_expansion_larger_than_the_graph_finds_all_that_is_linked(tmp_path: Path) -> None:
    graph = built(tmp_path / "graph", Dtype.F32, reduced=True, threads=1)
    found, ended = graph.search(QUERIES[:2], COUNT, 2 * COUNT, side=NO_SIDE)
    assert ended.all()
    assert all(len(set(row[row >= 0].tolist())) >= 0.99 * COUNT for row in found)


@dataclass(frozen=True)
class Places:
    """Where the parts of a file are."""

    head: int
    counts: int
    levels: int
    nodes: int


def places_of(data: bytearray) -> Places:
    rows, width = struct.unpack_from("<II", data)
    head = 8 + rows * width
    return Places(head, head + 64, head + 104, head + 104 + 2 * rows)


Change = Callable[[bytearray, Places], "bytearray | None"]
CHANGES: dict[str, Change] = {
    "another magic": lambda data, at: data.__setitem__(at.head, 0x58),
    "another version": lambda data, at: data.__setitem__(at.head + 9, 0x63),
    "other counts": lambda data, at: struct.pack_into("<Q", data, at.counts, COUNT + 1),
    "an entry that is not there": lambda data, at: struct.pack_into(
        "<Q", data, at.counts + 32, COUNT
    ),
    "an entry on a lower level": lambda data, at: struct.pack_into("<Q", data, at.counts + 24, 9),
    "a higher level": lambda data, at: struct.pack_into("<h", data, at.levels, 3),
    "a level below 0": lambda data, at: struct.pack_into("<h", data, at.levels, -1),
    "a key that is no node": lambda data, at: struct.pack_into("<Q", data, at.nodes, COUNT),
    "a wide key": lambda data, at: struct.pack_into("<Q", data, at.nodes, 1 << 40),
    "too many links": lambda data, at: struct.pack_into("<I", data, at.nodes + 10, 33),
    "a link to nothing": lambda data, at: struct.pack_into("<I", data, at.nodes + 14, COUNT),
    "its end cut off": lambda data, at: data[:-1],
    "its beginning only": lambda data, at: data[:6],
    "vectors only": lambda data, at: data[: at.head],
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("dtype", [Dtype.F32, Dtype.I4])
def test_a_file_that_says_what_cannot_be_is_refused(
    tmp_path: Path, change: str, dtype: Dtype
) -> None:
    """Loops do not check their indices: whatever is read must be checked before."""
    path = tmp_path / "graph"
    built(path, dtype, reduced=True, threads=1)
    data = bytearray(path.read_bytes())
    changed = CHANGES[change](data, places_of(data))
    path.write_bytes(data if changed is None else changed)
    with pytest.raises(SegmentDamaged):
        GraphView.open(path, dtype, WIDTH, reduced=True)


def test_a_file_over_other_vectors_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "graph"
    built(path, Dtype.F32, reduced=True)
    with pytest.raises(SegmentDamaged, match="components"):
        GraphView.open(path, Dtype.F32, WIDTH // 2, reduced=True)


@pytest.mark.parametrize("dtype", [Dtype.F32, Dtype.I4])
def test_an_empty_graph_finds_nothing(tmp_path: Path, dtype: Dtype) -> None:
    path = tmp_path / "graph"
    Graph(IndexSettings(Preset.BALANCED, dtype, 16, 64, 64, 0), WIDTH, reduced=True).save(path)
    if len(read_graph(np.fromfile(path, dtype=np.uint8)).codes):
        pytest.fail("the graph was to be empty")
    graph = GraphView.open(path, dtype, WIDTH, reduced=True)
    found, ended = graph.search(scaled(QUERIES[:3], dtype), 4, 16, side=NO_SIDE)
    assert (found == -1).all()
    assert ended.all()
