"""A head that keeps Ray's state in its memory: the cluster ends with it, what is stored stays."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from lookalike.v1 import collection_pb2 as cpb
from lookalike.v1 import search_pb2 as spb
from lookalike.wire import vectors
from search_service.domain.arrays import F32
from tests.cluster.system import System, new_system, wait_until_whole
from tests.integration.search_server import SearchServer

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

DIMENSION = 32
ROWS: F32 = np.random.default_rng(5).standard_normal((600, DIMENSION)).astype(np.float32)
_NODES_END_WITHIN_S = 120.0


def _found(server: SearchServer) -> list[list[tuple[str, float]]]:
    queries = [spb.Query(vector_f32_le=vectors.encode(row)) for row in ROWS[:20]]
    request = spb.SearchRequest(collection="c", queries=queries, limit=50, exact=True)
    results = server.search.Search(request, timeout=30).results
    return [[(hit.id, hit.score) for hit in result.hits] for result in results]


def _wait_until_nodes_end(system: System) -> None:
    deadline_s = time.monotonic() + _NODES_END_WITHIN_S
    while any(node.runs for node in system.nodes):
        assert time.monotonic() < deadline_s, "nodes live on without their head"
        time.sleep(0.2)


def test_a_new_cluster_has_what_the_old_one_had(tmp_path: Path) -> None:
    with new_system(tmp_path, durable_head=False) as system:
        front = system.front()
        front.create("c", DIMENSION, settings=cpb.CollectionSettings(partitions=2, replicas=2))
        items = [
            spb.VectorUpsert(id=f"item-{n}", vector_f32_le=vectors.encode(row))
            for n, row in enumerate(ROWS)
        ]
        results = front.upsert("c", items)
        assert {result.status for result in results} == {spb.MUTATION_STATUS_APPLIED}
        wait_until_whole(front, "c")
        before = _found(front)

        system.nodes[0].kill()
        _wait_until_nodes_end(system)
        front.kill()
        for node in system.nodes:
            node.kill()  # what a node that ended has left behind
            node.start()
        again = system.front()
        wait_until_whole(again, "c", within_s=150)
        assert _found(again) == before
        assert again.upsert("c", items[:1])[0].status == spb.MUTATION_STATUS_APPLIED
