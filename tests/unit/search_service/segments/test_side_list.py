"""The side list finds its own nodes, whatever form the graph has."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from search_service.segments.encoder import Encoder, fit_encoder
from search_service.segments.side_list import SideList
from search_service.shard.types import Dtype
from tests.unit.search_service.segments.support import unit_vectors

ROWS = unit_vectors(3_000)
NODES = np.arange(5, 3_000, 7)
DIMENSION = ROWS.shape[1]
ENCODERS = {
    "full width": Encoder.identity(DIMENSION),
    "reduced": fit_encoder(ROWS, DIMENSION // 2, Dtype.BF16),
    "reduced, i8": fit_encoder(ROWS, DIMENSION // 2, Dtype.I8),
}


@pytest.mark.parametrize("form", ENCODERS)
def test_every_node_is_the_nearest_of_its_own_vector(form: str) -> None:
    side = SideList(NODES, ROWS, ENCODERS[form])
    assert len(side) == len(NODES)
    assert side.nearest(ROWS[NODES], 1)[:, 0].tolist() == NODES.tolist()


@pytest.mark.parametrize("form", ENCODERS)
def test_the_nearest_are_those_of_least_distance_in_that_form(form: str) -> None:
    encoder = ENCODERS[form]
    side = SideList(NODES, ROWS, encoder)
    queries = unit_vectors(3_050)[3_000:]
    reduced, points = encoder.reduce(queries), encoder.reduce(ROWS[NODES])
    distances = np.square(reduced[:, None] - points[None]).sum(axis=2)
    exact = NODES[np.argsort(distances, axis=1)[:, :20]]
    found = side.nearest(queries, 20)
    same = [len(set(a) & set(b)) for a, b in zip(found.tolist(), exact.tolist(), strict=True)]
    assert min(same) >= 19  # rounding may exchange the last


def test_what_it_holds_is_left_out_of_the_graphs_answer() -> None:
    side = SideList(NODES, ROWS, ENCODERS["reduced"])
    nodes = np.array([[5, 6, -1], [12, 2_999, 13]])
    side.leave_out(nodes)
    assert nodes.tolist() == [[-1, 6, -1], [-1, 2_999, 13]]


def test_an_empty_list_finds_nothing() -> None:
    side = SideList(np.empty(0, dtype=np.int64), ROWS, ENCODERS["reduced"])
    assert side.nearest(ROWS[:3], 10).shape == (3, 0)


def test_the_form_is_compared_before_it_is_quantised() -> None:
    coarse = replace(ENCODERS["reduced"], quantum=10.0)  # every component rounds to 0
    side = SideList(NODES, ROWS, coarse)
    assert side.nearest(ROWS[NODES], 1)[:, 0].tolist() == NODES.tolist()
