from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from search_service.domain.collection import Dtype, IndexSettings
from search_service.segments.building.planning import LEAST_GRAPH_VECTORS, Action, BuildPlan
from search_service.segments.errors import SegmentDamaged
from search_service.segments.manifest import ENCODER, GRAPH
from search_service.segments.segment import Segment
from tests.unit.search_service.segments.support import (
    IDENTITY,
    SETTINGS,
    SmallStore,
    assemble,
    exact_nearest,
    recall_of,
    self_misses,
    unit_vectors,
)

QUERIES = unit_vectors(200, seed=99)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SmallStore]:
    small = SmallStore(tmp_path)
    yield small
    small.close()


def build(store: SmallStore, *, settings: IndexSettings = SETTINGS) -> Segment:
    path = assemble(store, BuildPlan(Action.BUILD, 0, store.last_ordinal), settings=settings)
    return Segment.open(path, IDENTITY)


def test_holds_the_live_vectors_of_its_range(store: SmallStore) -> None:
    vectors = unit_vectors(300)
    store.add(vectors)
    store.delete([5, 17])
    path = assemble(store, BuildPlan(Action.BUILD, 100, 250))
    segment = Segment.open(path, IDENTITY)
    assert sorted(segment.ordinals) == list(range(101, 251))
    nodes = np.repeat(np.arange(len(segment.rows)), np.diff(segment.offsets))
    for node, ordinal in zip(nodes, segment.ordinals, strict=True):
        assert np.array_equal(segment.rows[node], vectors[ordinal - 1])


def test_byte_equal_vectors_share_a_node_and_do_not_hide_others(store: SmallStore) -> None:
    vectors = unit_vectors(4_000)
    vectors[1_000:1_400] = vectors[7]  # 10 % identical
    store.add(vectors[:2_000])
    first = assemble(store, BuildPlan(Action.BUILD, 0, 2_000))
    store.add(vectors[2_000:])
    store.add(vectors[7:8])
    path = assemble(store, BuildPlan(Action.EXTEND, 0, store.last_ordinal, first.name))
    segment = Segment.open(path, IDENTITY)
    assert len(segment.rows) == 3_600
    counts = np.diff(segment.offsets)
    assert counts.max() == 402
    node = int(counts.argmax())
    held = segment.ordinals[segment.offsets[node] : segment.offsets[node + 1]]
    assert held.tolist() == [8, *range(1_001, 1_401), 4_001]
    assert len(self_misses(segment)) == 0


@pytest.mark.parametrize("action", [Action.BUILD, Action.SEAL])
def test_whole_batches_of_one_vector_are_one_node(store: SmallStore, action: Action) -> None:
    vectors = unit_vectors(10_000)
    vectors[300:9_900] = vectors[7]  # in order of arrival and of likeness
    store.add(vectors)
    segment = Segment.open(assemble(store, BuildPlan(action, 0, store.last_ordinal)), IDENTITY)
    assert len(segment.rows) == 400
    assert np.array_equal(np.sort(segment.ordinals), np.arange(1, 10_001))
    nodes = np.repeat(np.arange(len(segment.rows)), np.diff(segment.offsets))
    assert np.array_equal(segment.rows[nodes], vectors[segment.ordinals - 1])


@pytest.mark.parametrize("dtype", [Dtype.BF16, Dtype.I4])
def test_adding_a_delta_equals_building_in_one_go(store: SmallStore, dtype: Dtype) -> None:
    settings = replace(SETTINGS, dtype=dtype)
    vectors = unit_vectors(6_000)
    store.add(vectors[:4_000])
    base = assemble(store, BuildPlan(Action.BUILD, 0, 4_000), settings=settings)
    store.add(vectors[4_000:])
    plan = BuildPlan(Action.EXTEND, 0, 6_000, base.name)
    extended = Segment.open(assemble(store, plan, settings=settings), IDENTITY)
    fresh = build(store, settings=settings)
    assert len(extended.rows) == len(fresh.rows) == 6_000
    assert recall_of(extended, QUERIES, 10) >= recall_of(fresh, QUERIES, 10) - 0.005
    assert len(self_misses(extended)) == 0
    assert extended.side_nodes <= 60


def test_every_node_of_a_poor_graph_finds_itself(store: SmallStore) -> None:
    store.add(unit_vectors(3_000, seed=3))
    sparse = replace(SETTINGS, connectivity=4, expansion_add=16)
    segment = build(store, settings=sparse)
    assert len(self_misses(segment)) == 0


@pytest.mark.parametrize("dtype", list(Dtype))
@pytest.mark.parametrize("graph_dimension", [0, 32])
def test_recall_of_every_scalar_type(store: SmallStore, dtype: Dtype, graph_dimension: int) -> None:
    store.add(unit_vectors(2_000))
    segment = build(store, settings=replace(SETTINGS, dtype=dtype, graph_dimension=graph_dimension))
    assert recall_of(segment, QUERIES, 10) >= 0.95
    assert len(self_misses(segment)) == 0


def test_a_sealed_segment_has_rows_and_no_graph(store: SmallStore) -> None:
    vectors = unit_vectors(500)
    store.add(vectors)
    path = assemble(store, BuildPlan(Action.SEAL, 0, 500))
    assert not (path / GRAPH).exists()
    segment = Segment.open(path, IDENTITY)
    assert not segment.has_graph
    assert np.array_equal(segment.rows, vectors)
    with pytest.raises(SegmentDamaged, match="no graph"):
        segment.candidates(QUERIES, 10, 64)


@pytest.mark.parametrize("dtype", [Dtype.BF16, Dtype.I8, Dtype.I4])
def test_a_large_sealed_segment_is_scanned_in_a_graphs_form(
    store: SmallStore, dtype: Dtype
) -> None:
    settings = replace(SETTINGS, dtype=dtype)
    store.add(unit_vectors(LEAST_GRAPH_VECTORS))
    path = assemble(store, BuildPlan(Action.SEAL, 0, LEAST_GRAPH_VECTORS), settings=settings)
    segment = Segment.open(path, IDENTITY)
    assert (segment.has_graph, segment.has_codes) == (False, True)
    nodes = np.arange(1, LEAST_GRAPH_VECTORS, 2)
    near, _ = segment.nearest_exactly(nodes, QUERIES, 20, 400)
    best = nodes[exact_nearest(segment.rows[nodes], QUERIES, 20)]
    pairs = zip(near.tolist(), best.tolist(), strict=True)
    shared = sum(len(set(found) & set(wanted)) for found, wanted in pairs)
    assert shared >= 0.99 * best.size
    with pytest.raises(SegmentDamaged, match="no graph"):
        segment.candidates(QUERIES, 10, 64)
    segment.close()


def test_a_seal_takes_the_encoder_of_its_base(store: SmallStore) -> None:
    store.add(unit_vectors(LEAST_GRAPH_VECTORS))
    base = assemble(store, BuildPlan(Action.SEAL, 0, LEAST_GRAPH_VECTORS))
    encoder = Segment.open(base, IDENTITY).encoder
    store.add(unit_vectors(LEAST_GRAPH_VECTORS, seed=1))
    plan = BuildPlan(Action.SEAL, LEAST_GRAPH_VECTORS, 2 * LEAST_GRAPH_VECTORS, base.name)
    alike = Segment.open(assemble(store, plan), IDENTITY)
    assert np.array_equal(alike.encoder.basis, encoder.basis)
    data = bytearray((base / ENCODER).read_bytes())
    data[7] ^= 1
    (base / ENCODER).write_bytes(data)
    fitted = Segment.open(assemble(store, plan), IDENTITY)
    assert fitted.has_codes
    assert not np.array_equal(fitted.encoder.basis, encoder.basis)


def test_a_seal_that_a_known_encoder_does_not_fit_gets_its_own(store: SmallStore) -> None:
    store.add(unit_vectors(LEAST_GRAPH_VECTORS))
    base = assemble(store, BuildPlan(Action.SEAL, 0, LEAST_GRAPH_VECTORS))
    store.add(unit_vectors(LEAST_GRAPH_VECTORS, seed=5, tilt=1.0))
    plan = BuildPlan(Action.SEAL, LEAST_GRAPH_VECTORS, 2 * LEAST_GRAPH_VECTORS, base.name)
    drifted = Segment.open(assemble(store, plan), IDENTITY)
    assert not np.array_equal(drifted.encoder.basis, Segment.open(base, IDENTITY).encoder.basis)


@pytest.mark.parametrize(
    ("dtype", "graph_dimension", "coded"),
    [(Dtype.F32, 0, False), (Dtype.F32, 32, False), (Dtype.F16, 0, True), (Dtype.F32, 24, True)],
)
def test_a_seal_has_a_compact_form_where_it_is_half_as_long(
    store: SmallStore, dtype: Dtype, graph_dimension: int, *, coded: bool
) -> None:
    settings = replace(SETTINGS, dtype=dtype, graph_dimension=graph_dimension)
    store.add(unit_vectors(LEAST_GRAPH_VECTORS))
    path = assemble(store, BuildPlan(Action.SEAL, 0, LEAST_GRAPH_VECTORS), settings=settings)
    assert Segment.open(path, IDENTITY).has_codes is coded


def test_an_empty_range_makes_an_empty_segment(store: SmallStore) -> None:
    store.add(unit_vectors(10))
    store.delete(range(1, 11))
    segment = build(store)
    assert segment.rows.shape == (0, IDENTITY.dimension)
    assert not segment.has_graph


def test_the_basis_is_fitted_anew_when_newer_rows_do_not_fit_it(store: SmallStore) -> None:
    store.add(unit_vectors(2_000))
    base = assemble(store, BuildPlan(Action.BUILD, 0, 2_000))
    store.add(unit_vectors(2_000, seed=5, tilt=1.0))
    drifted = Segment.open(assemble(store, BuildPlan(Action.EXTEND, 0, 4_000, base.name)), IDENTITY)
    original = Segment.open(base, IDENTITY)
    newer = unit_vectors(1_000, seed=6, tilt=1.0)
    assert original.encoder.energy_of(newer) < original.manifest.captured_energy - 0.03
    assert drifted.encoder.energy_of(newer) > original.encoder.energy_of(newer) + 0.01
    assert len(self_misses(drifted)) == 0


def test_the_basis_stays_while_newer_rows_are_alike(store: SmallStore) -> None:
    store.add(unit_vectors(2_000))
    base = assemble(store, BuildPlan(Action.BUILD, 0, 2_000))
    store.add(unit_vectors(2_000, seed=5))
    extended = Segment.open(
        assemble(store, BuildPlan(Action.EXTEND, 0, 4_000, base.name)), IDENTITY
    )
    original = Segment.open(base, IDENTITY)
    assert np.array_equal(extended.encoder.basis, original.encoder.basis)


def test_a_damaged_base_is_built_anew(store: SmallStore) -> None:
    store.add(unit_vectors(1_000))
    base = assemble(store, BuildPlan(Action.BUILD, 0, 1_000))
    graph = base / GRAPH
    graph.write_bytes(graph.read_bytes()[:-100] + bytes(100))
    store.add(unit_vectors(500, seed=2))
    path = assemble(store, BuildPlan(Action.EXTEND, 0, 1_500, base.name))
    segment = Segment.open(path, IDENTITY)
    assert len(segment.rows) == 1_500
    assert len(self_misses(segment)) == 0


def test_a_failed_build_leaves_nothing_behind(store: SmallStore) -> None:
    store.add(unit_vectors(10, dimension=IDENTITY.dimension - 1))
    with pytest.raises(ValueError, match="dimension"):
        assemble(store, BuildPlan(Action.BUILD, 0, 10))
    assert list(store.segments_path.iterdir()) == []
