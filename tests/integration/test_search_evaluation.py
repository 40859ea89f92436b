"""Evaluation over a socket, against a model in numpy alone."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from google.protobuf.struct_pb2 import Struct

from lookalike.v1 import analysis_pb2_grpc
from lookalike.v1 import collection_pb2 as cpb
from lookalike.v1 import evaluation_pb2 as pb
from lookalike.v1 import filter_pb2 as fpb
from lookalike.v1 import search_pb2 as spb
from lookalike.wire.errors import InvalidField, Reason
from lookalike_client import AnalysisProgress, Client, RankingMethod
from tests.children import children_of
from tests.integration.search_server import SearchServer, packed, refused, running

DIMENSION, ITEMS, KINDS = 16, 12_000, 12
HELD_OUT = np.arange(ITEMS) >= ITEMS - 600
RNG = np.random.default_rng(5)
CENTRES = RNG.normal(size=(KINDS, DIMENSION))
LABELS = RNG.integers(0, KINDS, ITEMS)
VECTORS = CENTRES[LABELS] + RNG.normal(scale=1.1, size=(ITEMS, DIMENSION))
VECTORS = (VECTORS / np.linalg.norm(VECTORS, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SearchServer]:
    # Small enough a head that most items are in a graph.
    with running(tmp_path_factory.mktemp("data"), "--head-limit", "10000") as server:
        server.create("kinds", DIMENSION)
        for start in range(0, ITEMS, 500):
            server.upsert("kinds", [_item(n) for n in range(start, start + 500)])
        _until(lambda: _in_graph(server) >= 10_000)
        server.create("bare", DIMENSION)
        server.upsert("bare", [spb.VectorUpsert(id="a", vector_f32_le=packed(VECTORS[0]))])
        yield server


def _item(number: int) -> spb.VectorUpsert:
    metadata = Struct()
    # Every tenth item has no label; the last are held out.
    if number % 10:
        metadata["kind"] = f"kind-{LABELS[number]}"
    metadata["part"] = "held out" if HELD_OUT[number] else "known"
    return spb.VectorUpsert(
        id=f"item-{number}", vector_f32_le=packed(VECTORS[number]), metadata=metadata
    )


def evaluate(server: SearchServer, **options: Any) -> pb.EvaluationReport:
    """Run an evaluation to its end; it says on its way how far it is."""
    stub = analysis_pb2_grpc.AnalysisServiceStub(server.channel)
    request = pb.EvaluateRequest(**{"collection": "kinds", "label_field": "kind", **options})
    said = list(stub.Evaluate(request))
    assert said[0].progress.stage == "reading items"
    assert all(each.WhichOneof("content") == "progress" for each in said[:-1])
    return said[-1].report


def values(report: pb.EvaluationReport, method: int) -> dict[str, pb.EvaluationMetric]:
    return {each.name: each for each in report.metrics if each.method == method}


def test_the_exact_measures_are_those_of_a_model_in_numpy(server: SearchServer) -> None:
    report = evaluate(server, queries=fpb.Filter(expression='part = "held out"'))
    labelled = np.arange(ITEMS) % 10 != 0
    precisions, recalls, ideal = [], [], []
    for query in np.flatnonzero(labelled & HELD_OUT):
        alike = (LABELS[query] == LABELS) & labelled
        alike[query] = False
        scores = VECTORS @ VECTORS[query]
        scores[query] = -np.inf
        best = np.argsort(-scores)[:10]
        precisions.append(alike[best].mean())
        recalls.append(alike[best].sum() / alike.sum())
        ideal.append(min(10, alike.sum()) / alike.sum())

    exact = values(report, pb.RANKING_METHOD_EXACT)
    assert (report.queries, report.labelled) == (len(precisions), labelled.sum())
    assert (report.items, report.labels) == (ITEMS, KINDS)
    assert exact["precision@10"].value == pytest.approx(np.mean(precisions), abs=1e-9)
    assert exact["recall@10"].value == pytest.approx(np.mean(recalls), abs=1e-9)
    assert exact["recall@10"].attainable == pytest.approx(np.mean(ideal), abs=1e-9)
    assert exact["map"].low < exact["map"].value < exact["map"].high
    assert sum(report.relevant_scores) + sum(report.other_scores) == report.queries * (ITEMS - 1)
    assert sum(each.queries for each in report.classes) == report.queries


def test_the_graph_is_judged_beside_the_exact_ranking(server: SearchServer) -> None:
    report = evaluate(server, ks=[10], max_queries=300, seed=3)
    assert report.in_graphs >= 10_000
    graph = values(report, pb.RANKING_METHOD_GRAPH)
    both = values(report, pb.RANKING_METHOD_GRAPH_EXACT)
    assert both["recall_of_exact@10"].value >= 0.95
    assert 0 < graph["recall_of_exact@10"].value <= both["recall_of_exact@10"].value
    assert "map" not in graph  # a graph gives no whole ranking


def test_a_filter_chooses_what_counts(server: SearchServer) -> None:
    report = evaluate(server, filter=fpb.Filter(expression='part = "held out"'))
    assert (report.items, report.labelled, report.in_graphs <= 600) == (600, 540, True)


@pytest.mark.parametrize(
    ("options", "field", "says"),
    [
        ({"label_field": "nothing"}, "label_field", "no item has a label"),
        ({"label_field": ""}, "label_field", "name the metadata field"),
        ({"label_field": "part", "filter": fpb.Filter(expression='part = "known"')},
         "label_field", "nothing to tell apart"),
        ({"ks": [0]}, "ks[0]", "1"),
        ({"max_queries": 100_001}, "max_queries", "100"),
        ({"queries": fpb.Filter(expression="part =")}, "queries", "expected"),
        ({"collection": "bare"}, "label_field", "no item has a label"),
    ],
)  # fmt: skip
def test_what_cannot_be_answered_is_refused(
    server: SearchServer, options: dict[str, Any], field: str, says: str
) -> None:
    with refused() as found:
        evaluate(server, **options)
    (error,) = found
    assert isinstance(error, InvalidField)
    assert error.field.startswith(field)
    assert says in error.message


def test_cancelling_ends_the_process_and_removes_its_files(server: SearchServer) -> None:
    stub = analysis_pb2_grpc.AnalysisServiceStub(server.channel)
    call = stub.Evaluate(pb.EvaluateRequest(collection="kinds", label_field="kind"))
    next(iter(call))
    assert _children(server)
    call.cancel()
    _until(lambda: not _children(server))
    _until(lambda: not list(_directory(server).iterdir()))


def test_a_process_that_is_killed_is_told(server: SearchServer) -> None:
    stub = analysis_pb2_grpc.AnalysisServiceStub(server.channel)
    call = stub.Evaluate(pb.EvaluateRequest(collection="kinds", label_field="kind"))
    with refused() as found:
        next(iter(call))
        for pid in _children(server):
            os.kill(pid, signal.SIGKILL)
        list(call)
    (error,) = found
    assert (error.reason, "killed by signal 9" in error.message) == (Reason.NOT_READY, True)


def _children(server: SearchServer) -> list[int]:
    """The analyses that run: children of the server with its boot text."""
    return children_of(server.process.pid, running="analysis.child")


def _in_graph(server: SearchServer) -> int:
    request = cpb.GetCollectionRequest(collection="kinds")
    return server.collections.GetCollection(request).collection.stats.graph_vectors


def _directory(server: SearchServer) -> Path:
    arguments = server.process.args
    assert isinstance(arguments, list)
    return Path(arguments[arguments.index("--data") + 1]) / "analysis"


def _until(holds: object) -> None:
    assert callable(holds)
    for _ in range(3_000):
        if holds():
            return
        time.sleep(0.02)
    raise AssertionError("it never came to hold")


def test_the_clients_bring_the_report_and_tell_how_far_it_is(server: SearchServer) -> None:
    heard: list[AnalysisProgress] = []
    with Client(f"127.0.0.1:{server.port}") as client:
        report = client.analysis.evaluate(
            "kinds", "kind", filter='part = "held out"', ks=[5], on_progress=heard.append
        )
    found = {(each.method, each.name): each for each in report.metrics}
    best = found[RankingMethod.EXACT, "precision@5"]
    assert best.low <= best.value <= best.high <= (best.attainable or 0)
    assert found[RankingMethod.EXACT, "map"].attainable is None
    assert "ranking exactly" in {each.stage for each in heard}
