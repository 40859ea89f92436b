"""The worked example of the documentation, over a real socket."""

from __future__ import annotations

from pathlib import Path

import pytest

from lookalike.v1 import search_pb2 as spb
from tests.integration.search_server import item, running

STORED = {
    "g1": [1.0, 0.0, 0.0],
    "g2": [0.0, 1.0, 0.0],
    "g3": [0.5, 0.5, 0.0],
    "g4": [0.0, 0.0, 1.0],
    "g5": [0.2, 0.1, 0.0],
}


def test_the_worked_example_finds_g3_then_g5(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        server.create("example", 3)
        results = server.upsert("example", [item(name, v) for name, v in STORED.items()])
        assert [(r.id, r.status) for r in results] == [
            (name, spb.MUTATION_STATUS_APPLIED) for name in STORED
        ]
        hits = server.find("example", [0.6, 0.8, 0.0])
    assert [hit.id for hit in hits] == ["g3", "g5", "g2", "g1", "g4"]
    assert [hit.score for hit in hits] == pytest.approx([0.98995, 0.89443, 0.8, 0.6, 0.0], abs=1e-5)
