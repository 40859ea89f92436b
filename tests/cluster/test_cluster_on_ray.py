"""Collections on three Ray nodes: the same answers, and nothing lost when parts of it go."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import numpy as np
import pytest

from lookalike.v1 import collection_pb2 as cpb
from lookalike.v1 import search_pb2 as spb
from lookalike.wire import vectors
from lookalike.wire.status import from_rpc_error
from lookalike_client import Client, PartialAnswer, Query
from search_service.domain.arrays import F32
from tests.cluster.system import System, describe, new_system, wait_until_whole
from tests.integration.search_server import SearchServer, running

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

DIMENSION = 64
ITEMS = 3_000
KILLS = int(os.environ.get("CLUSTER_TEST_KILLS", "10"))
HEAD_RESTARTS = int(os.environ.get("CLUSTER_TEST_HEAD_RESTARTS", "1"))
# What users are promised; the worst of ten kills took 0.54 s on two cores that twenty other
# processes wanted too.
WORST_S = float(os.environ.get("CLUSTER_TEST_WORST_S", "1"))


def _rows(count: int, seed: int) -> F32:
    rows = np.random.default_rng(seed).standard_normal((count, DIMENSION)).astype(np.float32)
    unit: F32 = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit


ROWS = _rows(ITEMS, 1)
QUERIES = _rows(40, 2)


def _items(first: int, rows: F32, prefix: str = "item") -> list[spb.VectorUpsert]:
    return [
        spb.VectorUpsert(id=f"{prefix}-{first + n}", vector_f32_le=vectors.encode(row))
        for n, row in enumerate(rows)
    ]


def _search(
    server: SearchServer, rows: F32, *, timeout_s: float = 30.0, **options: object
) -> list[list[tuple[str, float]]]:
    request = spb.SearchRequest(
        collection="c",
        queries=[spb.Query(vector_f32_le=vectors.encode(row)) for row in rows],
        **options,  # type: ignore[arg-type]
    )
    response = server.search.Search(request, timeout=timeout_s)
    return [[(hit.id, hit.score) for hit in result.hits] for result in response.results]


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with new_system(tmp_path_factory.mktemp("cluster"), durable_head=True) as one:
        yield one


@pytest.fixture(scope="module")
def front(system: System) -> SearchServer:
    server = system.front()
    settings = cpb.CollectionSettings(partitions=3, replicas=2)
    made = server.create("c", DIMENSION, settings=settings)
    assert (made.settings.partitions, made.settings.replicas) == (3, 2)
    for first in range(0, ITEMS, 500):
        results = server.upsert("c", _items(first, ROWS[first : first + 500]))
        assert {result.status for result in results} == {spb.MUTATION_STATUS_APPLIED}
    wait_until_whole(server, "c")
    return server


def test_the_answers_are_those_of_one_machine(front: SearchServer, tmp_path: Path) -> None:
    with running(tmp_path / "one", "--threads", "1") as one:
        one.create("c", DIMENSION)
        for first in range(0, ITEMS, 500):
            one.upsert("c", _items(first, ROWS[first : first + 500]))

        assert _search(front, QUERIES, exact=True) == _search(one, QUERIES, exact=True)
        found, wanted = (_search(each, QUERIES, limit=10) for each in (front, one))
        same = [len(set(a) & set(b)) / 10 for a, b in zip(found, wanted, strict=True)]
        assert np.mean(same) >= 0.99
        for each in (front, one):
            with pytest.raises(grpc.RpcError) as refused:
                _search(each, QUERIES[:, :8])
            assert from_rpc_error(refused.value).reason.name == "DIMENSION_MISMATCH"


def test_replicas_of_a_partition_are_on_different_nodes(front: SearchServer) -> None:
    for partition in describe(front, "c").partitions:
        nodes = [replica.node for replica in partition.replicas]
        assert len(set(nodes)) == len(nodes) == 2


class _Load:
    """Searches and writes until told to stop; keeps what failed and what was acknowledged."""

    def __init__(self, server: SearchServer) -> None:
        self._server = server
        self._stop = threading.Event()
        self.failed: list[str] = []
        # How long each query took, and when it began, in seconds after the load began.
        self.took_s: list[tuple[float, float]] = []
        self.acknowledged: list[str] = []
        self._threads = [
            threading.Thread(target=work) for work in (self._search, self._search, self._write)
        ]
        self._started_s = time.monotonic()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _search(self) -> None:
        while not self._stop.wait(0.02):
            started_s = time.monotonic()
            try:
                hits = _search(self._server, QUERIES[:1], limit=10)[0]
                assert len(hits) == 10
            except (grpc.RpcError, AssertionError) as error:
                self.failed.append(str(error))
            took_s = time.monotonic() - started_s
            self.took_s.append((took_s, started_s - self._started_s))

    def _write(self) -> None:
        number = 0
        while not self._stop.wait(0.05):
            item = _items(number, ROWS[number % ITEMS][None], prefix=f"under-load-{id(self)}")
            number += 1
            try:
                (result,) = self._server.upsert("c", item)
            except grpc.RpcError:
                continue  # not acknowledged
            if result.status == spb.MUTATION_STATUS_APPLIED:
                self.acknowledged.append(result.id)


def _all_there(server: SearchServer, ids: list[str]) -> bool:
    missing: list[str] = []
    for first in range(0, len(ids), 500):
        request = spb.GetItemsRequest(collection="c", ids=ids[first : first + 500])
        missing += server.search.GetItems(request).missing_ids
    return not missing


@pytest.mark.parametrize("kill", range(KILLS))
def test_a_node_that_is_killed_under_load(front: SearchServer, system: System, kill: int) -> None:
    node = system.nodes[1 + kill % 2]  # not the head, through which the front has joined
    load = _Load(front)
    time.sleep(1)
    node.kill()
    time.sleep(6)
    node.start()
    wait_until_whole(front, "c")
    load.stop()
    wait_until_whole(front, "c")  # with the last of what was written

    assert load.failed == []
    assert len(load.took_s) > 20
    assert load.acknowledged
    slowest = sorted(load.took_s)[-5:]
    print(f"{len(load.took_s)} queries; seconds that the slowest took, and when:", slowest)
    assert slowest[-1][0] <= WORST_S, slowest
    assert _all_there(front, load.acknowledged)
    for partition in describe(front, "c").partitions:
        assert len({replica.items for replica in partition.replicas}) == 1


def test_what_one_replica_alone_has_is_left_out_while_it_is_away(
    front: SearchServer, system: System
) -> None:
    # A node of 8 processors takes two of them at most, so that none has all.
    other = system.front("--cluster-replica-cpus", "3")
    settings = cpb.CollectionSettings(partitions=4, replicas=1)
    other.create("thin", DIMENSION, settings=settings)
    other.upsert("thin", _items(0, ROWS[:400]))
    wait_until_whole(other, "thin")
    nodes = [partition.replicas[0].node for partition in describe(other, "thin").partitions]
    # Not the head, through which the front has joined.
    node = next(each for each in system.nodes[1:] if each.address in nodes)
    lacking = [number for number, name in enumerate(nodes) if name == node.address]
    query = Query.by_vector(ROWS[0])
    with Client(f"127.0.0.1:{other.port}", timeout_s=20) as client:
        assert client.search("thin", query, allow_partial=True).partial is None
        node.kill()
        # Ray knows of it after 3 s, and starts the replicas on the other nodes then.
        # The stub does not try again, as the client would until its time is up.
        request = spb.SearchRequest(collection="thin", queries=[query.message])
        with pytest.raises(grpc.RpcError) as refused:
            other.search.Search(request, timeout=1)
        assert from_rpc_error(refused.value).reason.name == "PARTITION_UNAVAILABLE"
        found = client.search("thin", query, allow_partial=True, limit=400)
        assert found.partial == PartialAnswer(partitions=4, missing_partitions=lacking)
        assert 0 < len(found.hits) < 400
        node.start()
        wait_until_whole(other, "thin")
        whole = client.search("thin", query, limit=400)
        assert (whole.partial, len(whole.hits)) == (None, 400)
        client.collections.delete("thin")
    other.stop()
    wait_until_whole(front, "c")


def test_a_front_that_is_killed(front: SearchServer, system: System) -> None:
    other = system.front()
    results = other.upsert("c", _items(0, _rows(50, 7), prefix="by-the-other"))
    acknowledged = [result.id for result in results if not result.HasField("error")]
    other.kill()

    assert len(acknowledged) == 50
    assert _all_there(front, acknowledged)
    third = system.front()
    assert _search(third, QUERIES, exact=True) == _search(front, QUERIES, exact=True)
    third.stop()


def test_the_log_is_restarted(front: SearchServer, system: System) -> None:
    before = front.upsert("c", _items(0, _rows(50, 8), prefix="before"))
    ids = [result.id for result in before]
    system.valkey.kill()
    # Reads go on without it.
    assert len(_search(front, QUERIES[:1])[0]) == 10
    refused = front.upsert("c", _items(0, _rows(1, 9), prefix="meanwhile"))
    assert refused[0].error.retryable
    system.valkey.start()

    deadline_s = time.monotonic() + 30
    while True:
        (result,) = front.upsert("c", _items(0, _rows(1, 10), prefix="after"))
        if not result.HasField("error"):
            break
        assert time.monotonic() < deadline_s, result
        time.sleep(0.2)
    assert _all_there(front, ids)
    wait_until_whole(front, "c")


@pytest.mark.parametrize("restart", range(HEAD_RESTARTS))
def test_the_head_is_restarted(front: SearchServer, system: System, restart: int) -> None:
    """The front has joined through the head's machine and goes with it; replicas elsewhere stay."""
    front = front if not restart else system.fronts[-1]
    before = front.upsert("c", _items(0, _rows(50, 11 + restart), prefix=f"before-{restart}"))
    ids = [result.id for result in before if not result.HasField("error")]
    front.kill()
    system.nodes[0].kill()
    time.sleep(2)
    system.nodes[0].start()

    again = system.front()
    wait_until_whole(again, "c", within_s=150)
    assert len(ids) == 50
    assert _all_there(again, ids)
    assert len(_search(again, QUERIES, exact=True)) == len(QUERIES)
