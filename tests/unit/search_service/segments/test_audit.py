from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lookalike.wire.vectors import F32
from search_service.compiled.usearch_file import add_links
from search_service.domain.collection import Dtype, IndexSettings, Preset
from search_service.segments.building.audit import repair
from search_service.segments.building.graph import Graph
from search_service.segments.graph_view import GraphView
from tests.unit.search_service.segments.support import unit_vectors

POOR = IndexSettings(Preset.BALANCED, Dtype.F32, 4, 8, 64, 0)
VECTORS = unit_vectors(4_000, seed=3)
DIMENSION = VECTORS.shape[1]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A graph with so few links that it does not reach all of its nodes."""
    graph = Graph(POOR, DIMENSION, reduced=False)
    graph.add(VECTORS, threads=2)
    graph.save(tmp_path / "graph")
    return tmp_path / "graph"


def encoded(start: int, stop: int) -> F32:
    return VECTORS[start:stop]


def opened(path: Path) -> GraphView:
    return GraphView.open(path, Dtype.F32, DIMENSION, reduced=False)


def missed(path: Path) -> int:
    nothing = np.empty(0, dtype=np.int32)
    found, _ = opened(path).search(VECTORS, 12, 48, side=nothing)
    return int((found[:, 0] != np.arange(len(VECTORS))).sum())


def test_what_is_not_reached_is_linked(path: Path) -> None:
    before = missed(path)
    assert before > 10, "the graph was to leave some nodes unreachable"
    graph = opened(path)
    reports: list[None] = []
    links, left = repair(graph, encoded, 2, lambda: reports.append(None))
    assert len(links) >= before
    assert len(left) < before / 10
    assert reports
    add_links(path, links)
    assert missed(path) == len(left)
    assert np.array_equal(np.sort(opened(path).near), np.sort(graph.near))


def test_a_repaired_graph_can_be_extended(path: Path) -> None:
    before = missed(path)
    links, _ = repair(opened(path), encoded, 2, lambda: None)
    add_links(path, links)
    grown = Graph(POOR, DIMENSION, reduced=False)
    grown.load(path)
    grown.add(unit_vectors(500, seed=9), threads=1)
    grown.save(path.with_name("grown"))
    graph = opened(path.with_name("grown"))
    assert len(graph) == 4_500
    found, _ = graph.search(VECTORS, 12, 48, side=np.empty(0, dtype=np.int32))
    assert (found[:, 0] != np.arange(4_000)).sum() < before


def test_no_link_is_made_where_there_is_no_room(path: Path) -> None:
    near = opened(path).near
    full = np.flatnonzero(near[:, -1] >= 0)
    assert len(full), "some nodes were to have all their links"
    with pytest.raises(ValueError, match="no room"):
        add_links(path, np.array([[full[0], 1]]))
