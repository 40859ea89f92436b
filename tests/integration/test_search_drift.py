"""Drift of queries over a socket: learnt, raised, told by log and metric, kept, reset."""

from __future__ import annotations

import socket
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lookalike.v1 import analysis_pb2_grpc
from lookalike.v1 import collection_pb2 as cpb
from lookalike.v1 import drift_pb2 as pb
from lookalike.v1 import search_pb2 as spb
from lookalike.wire.errors import NotFound
from lookalike_client import Client, DriftState
from tests.integration.search_server import SearchServer, packed, refused, running

DIMENSION, PER_REQUEST = 32, 100
MIX = np.random.default_rng(1).normal(size=(8, DIMENSION))
CENTRE = np.random.default_rng(2).normal(size=DIMENSION)


def vectors(seed: int, count: int, shift: Any = 0.0) -> Any:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, 8)) @ MIX + CENTRE + shift


SHIFT = np.random.default_rng(3).normal(size=DIMENSION)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SearchServer]:
    with running(tmp_path) as server:
        yield _filled(server)


def _filled(server: SearchServer) -> SearchServer:
    server.create("things", DIMENSION)
    items = [
        spb.VectorUpsert(id=f"item-{n}", vector_f32_le=packed(vector))
        for n, vector in enumerate(vectors(0, 300))
    ]
    server.upsert("things", items)
    return server


def ask(server: SearchServer, queries: Any, **options: Any) -> None:
    for start in range(0, len(queries), PER_REQUEST):
        some = [
            spb.Query(vector_f32_le=packed(each)) for each in queries[start : start + PER_REQUEST]
        ]
        server.search.Search(spb.SearchRequest(collection="things", queries=some, **options))
        # Of a request all queries are taken where none waits; this works on those that do.
        drift(server)


def drift(server: SearchServer) -> pb.Drift:
    stub = analysis_pb2_grpc.AnalysisServiceStub(server.channel)
    return stub.GetDrift(pb.GetDriftRequest(collection="things")).drift


def test_a_change_is_raised_kept_over_a_restart_and_reset(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        _filled(server)
        assert drift(server).state == pb.DRIFT_STATE_LEARNING
        ask(server, vectors(1, 640))
        found = drift(server)
        assert (found.state, found.reference_queries) == (pb.DRIFT_STATE_WATCHING, 500)
        assert found.watched_queries == 140
        assert [each.name for each in found.measures] == [
            *("vectors", "cosine_to_mean", "beside_16_directions"),
            *("top_score", "tenth_score"),
        ]
        ask(server, vectors(2, 200, SHIFT))
        found = drift(server)
        assert found.state == pb.DRIFT_STATE_DRIFTED
        (alarm,) = found.alarms
        assert 140 < alarm.queries <= 340
    with running(tmp_path) as server:
        found = drift(server)
        assert (found.state, list(found.alarms)) == (pb.DRIFT_STATE_DRIFTED, [alarm])
        stub = analysis_pb2_grpc.AnalysisServiceStub(server.channel)
        request = pb.ResetDriftRequest(collection="things", keep_reference=True)
        assert stub.ResetDrift(request).drift.state == pb.DRIFT_STATE_WATCHING
        server.kill()
    with running(tmp_path) as server:
        assert drift(server).state == pb.DRIFT_STATE_WATCHING
        with Client(f"127.0.0.1:{server.port}") as client:
            reset = client.analysis.reset_drift("things")
            assert reset.state is DriftState.LEARNING
            assert reset.reference_queries == 0
            assert len(client.analysis.drift("things").alarms) == 1


def test_searches_by_id_and_filtered_scores_are_left_out(server: SearchServer) -> None:
    for number in range(64):
        query = spb.Query(id=f"item-{number}")
        server.search.Search(spb.SearchRequest(collection="things", queries=[query]))
    assert drift(server).reference_queries == 0
    ask(server, vectors(1, 32), min_score=0.1)
    found = {each.name: each for each in drift(server).measures}
    assert drift(server).reference_queries == 32
    assert list(found["top_score"].recent_percentiles) == []
    ask(server, vectors(2, 32))
    found = {each.name: each for each in drift(server).measures}
    low, middle, high = found["top_score"].recent_percentiles
    assert 0.0 < low < middle < high <= 1.0


def test_it_can_be_switched_off(tmp_path: Path) -> None:
    with running(tmp_path, "--drift-sample-share", "0") as server:
        _filled(server)
        ask(server, vectors(1, 64))
        assert drift(server).state == pb.DRIFT_STATE_OFF


def test_the_metric_and_the_log_tell(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    port = _free_port()
    with running(tmp_path, "--metrics-port", str(port)) as server:
        _filled(server)
        ask(server, vectors(1, 512))
        ask(server, vectors(2, 200, SHIFT))
        assert drift(server).state == pb.DRIFT_STATE_DRIFTED
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as response:
            lines = response.read().decode().splitlines()
        assert 'lookalike_drift_raised{collection="things"} 1.0' in lines
        assert 'lookalike_drift_queries{collection="things"} 712.0' in lines
        server.collections.DeleteCollection(cpb.DeleteCollectionRequest(name="things"))
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as response:
            assert "lookalike_drift_raised{" not in response.read().decode()
        with refused() as errors:
            drift(server)
        assert isinstance(errors[0], NotFound)
    assert "no longer what they were" in capfd.readouterr().err


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
