from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from search_service.compiled.addresses import address_of
from search_service.compiled.metric import Metric, as_scalars
from search_service.compiled.nibbles import LEVELS_A_STEP, as_nibbles
from search_service.compiled.packed_file import read_packed_graph
from search_service.compiled.packing import room_for, unpack
from search_service.compiled.usearch_file import read_graph
from search_service.compiled.walk import compare_some
from search_service.domain.collection import Dtype, IndexSettings, Preset
from search_service.segments.building.graph import Graph
from search_service.segments.graph_view import GraphView

RNG = np.random.default_rng(8)
COUNT, WIDTH = 3_000, 31
LEVELS = np.rint(RNG.normal(0.0, 33.0, (COUNT, WIDTH))).clip(-127, 127).astype(np.int8)
QUERIES = np.clip(LEVELS[:60] + RNG.integers(-6, 7, (60, WIDTH)), -127, 127).astype(np.int8)
NO_SIDE = np.empty(0, dtype=np.int32)


def steps_of(levels: Any) -> Any:
    return np.clip(np.floor(levels / LEVELS_A_STEP), -8, 7).astype(np.int64)


def squares(rows: Any, queries: Any) -> Any:
    return np.square(steps_of(queries)[:, None] - steps_of(rows)[None]).sum(axis=2)


def built(path: Path, threads: int = 2) -> Path:
    graph = Graph(IndexSettings(Preset.LEAN, Dtype.I4, 8, 64, 64, 0), WIDTH, reduced=True)
    graph.add(LEVELS, threads)
    graph.save(path)
    return path


def test_two_components_share_a_byte() -> None:
    every = np.arange(-128, 128).astype(np.int8).reshape(-1, 4)[:, :3]
    packed = as_nibbles(every)
    assert packed.shape == (64, 2)
    low, high = packed & 0xF, packed >> 4
    found = np.stack([low[:, 0], high[:, 0], low[:, 1]], axis=1).astype(np.int64)
    assert np.array_equal(np.where(found > 7, found - 16, found), steps_of(every))
    assert not high[:, 1].any()


def test_the_bytes_of_codes_are_what_they_were() -> None:
    """As they are in files: never to be changed."""
    levels = np.array(
        [[-128, -89, -88, -78, -77, -12, -11, -1, 0, 10, 11, 87, 88, 127, 5]], np.int8
    )
    assert as_nibbles(levels).tobytes() == bytes.fromhex("8888e9ff00717700")


def test_nodes_are_ordered_by_their_steps() -> None:
    metric = Metric.of(Dtype.I4, WIDTH, inner_product=False)
    codes, asked = as_scalars(LEVELS, Dtype.I4), as_scalars(QUERIES, Dtype.I4)
    assert codes.shape == (COUNT, metric.width_bytes) == (COUNT, 16)
    found = np.empty((60, 50), dtype=np.int64)
    compare_some(metric, address_of(codes), np.arange(COUNT), address_of(asked), found)
    far = squares(LEVELS, QUERIES)
    assert np.array_equal(np.take_along_axis(far, found, axis=1), np.sort(far, axis=1)[:, :50])
    assert all(len(set(row)) == 50 for row in found.tolist())


@pytest.mark.parametrize("threads", [1, 2])
def test_packed_links_are_those_of_the_file(tmp_path: Path, threads: int) -> None:
    data = np.fromfile(built(tmp_path / "graph", threads), dtype=np.uint8)
    plain, packed = read_graph(data), read_packed_graph(data)
    room = np.empty(plain.links.near.shape[1], dtype=np.int32)
    for node in range(COUNT):
        links = unpack(packed.links.packed, node, room)
        assert np.array_equal(links, plain.links.near[node][: len(links)])
        assert (plain.links.near[node][len(links) :] == -1).all()
    for name in ("first", "above", "entry", "levels"):
        assert np.array_equal(getattr(packed.links, name), getattr(plain.links, name))
    assert np.array_equal(packed.codes, as_nibbles(plain.codes.view(np.int8)))
    assert packed.links.packed.bits == 12
    assert packed.links.packed.words.nbytes < plain.links.near.nbytes / 3


def test_a_walk_over_packed_links_is_the_same_walk(tmp_path: Path) -> None:
    path = built(tmp_path / "graph")
    packed = GraphView.open(path, Dtype.I4, WIDTH, reduced=True)
    plain = GraphView.open(path, Dtype.I4, WIDTH, reduced=True, to_change=True)
    assert not len(packed.near)
    assert len(plain.near) == COUNT
    side = np.array([5, 17], dtype=np.int32)
    ours, ended = packed.search(QUERIES, 20, 80, side=side)
    theirs, _ = plain.search(QUERIES, 20, 80, side=side)
    assert ended.all()
    assert np.array_equal(ours, theirs)
    far = squares(LEVELS, QUERIES)
    kth = np.sort(far, axis=1)[:, 19:20]
    assert (np.take_along_axis(far, ours, axis=1) <= kth).mean() >= 0.9


def test_no_more_links_are_packed_than_can_be_counted() -> None:
    counts = np.zeros(3, dtype=np.int64)
    assert room_for(counts).bits == 2
    counts[1] = 1 << 32
    with pytest.raises(ValueError, match="can be packed"):
        room_for(counts)
