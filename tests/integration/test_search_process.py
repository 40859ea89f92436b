"""The process: start, health, metrics, orderly end, second server."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from queue import Queue

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from lookalike.v1 import search_pb2 as spb
from lookalike.wire.errors import Reason
from lookalike.wire.status import from_rpc_error
from tests.integration.search_server import ROOT, item, running


def test_an_open_stream_is_acknowledged_and_ended_at_sigterm(tmp_path: Path) -> None:
    with running(tmp_path, "--grace-s", "60") as server:
        server.create("c", 3)
        messages: Queue[spb.UpsertVectorsRequest | None] = Queue()
        requests: Iterator[spb.UpsertVectorsRequest] = iter(messages.get, None)
        answers = server.search.UpsertVectors(requests)
        messages.put(spb.UpsertVectorsRequest(collection="c", items=[item("a", [1, 0, 0])]))
        assert next(answers).results[0].status == spb.MUTATION_STATUS_APPLIED
        server.process.send_signal(signal.SIGTERM)
        with pytest.raises(grpc.RpcError) as caught:
            next(answers)
        assert from_rpc_error(caught.value).reason is Reason.NOT_READY
        messages.put(None)
        # Well before the grace: the open stream did not use it up.
        assert server.process.wait(timeout=30) == 0


def test_health_is_told_for_each_service(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        health = health_pb2_grpc.HealthStub(server.channel)
        for name in ("", "lookalike.v1.SearchService", "lookalike.v1.CollectionService"):
            answer = health.Check(health_pb2.HealthCheckRequest(service=name))
            assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_metrics_tell_queries_items_and_mutations(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with running(tmp_path, "--metrics-port", str(port)) as server:
        server.create("c", 3)
        server.upsert("c", [item("a", [1, 0, 0]), item("b", [0, 0, 0])])
        server.find("c", [1, 0, 0])
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as response:
            lines = response.read().decode().splitlines()
    for line in (
        'lookalike_queries_total{plan="exact"} 1.0',
        'lookalike_mutations_total{outcome="applied"} 1.0',
        'lookalike_mutations_total{outcome="refused"} 1.0',
        'lookalike_items{collection="c"} 1.0',
        'lookalike_head_vectors{collection="c"} 1.0',
    ):
        assert line in lines


def test_a_second_server_on_the_same_data_is_refused(tmp_path: Path) -> None:
    with running(tmp_path):
        second = run("--data", str(tmp_path), "--port", "0")
    assert second.returncode == 2
    assert "in use by another search service" in second.stderr


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((), "--data"),
        (("--data", "x", "--port", "many"), "port: must be a whole number"),
        (("--data", "x", "--port", "65536"), "port: must be a whole number from 0 to 65,535"),
        (("--data", "/dev/null/x"), "data directory cannot be used"),
        (("--data", "x", "--tls-key", __file__), "--tls-certificate"),
    ],
)
def test_a_wrong_setting_is_told_at_once(arguments: tuple[str, ...], text: str) -> None:
    ended = run(*arguments)
    assert ended.returncode == 2
    assert text in ended.stderr
    assert "Traceback" not in ended.stderr


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "search_service", *arguments],
        env={"PYTHONPATH": f"{ROOT}:{ROOT / 'protos'}", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
