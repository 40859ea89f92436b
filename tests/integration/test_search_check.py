"""A check over a socket: of a collection that is well, and of one with planted mistakes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from google.protobuf.struct_pb2 import Struct

from lookalike.v1 import analysis_pb2_grpc
from lookalike.v1 import check_pb2 as pb
from lookalike.v1 import collection_pb2 as cpb
from lookalike.v1 import filter_pb2 as fpb
from lookalike.v1 import search_pb2 as spb
from lookalike.wire.errors import InvalidField
from lookalike_client import CheckVerdict, Client
from tests.integration.search_server import SearchServer, packed, refused, running

DIMENSION, ITEMS = 256, 11_000
RNG = np.random.default_rng(6)
# Real embeddings lie near a space of few dimensions; noise fills all of them, and is the
# hardest there is for a graph.
VECTORS = RNG.normal(size=(ITEMS, 24)) @ RNG.normal(size=(24, DIMENSION))
NOISE = RNG.normal(size=(ITEMS, DIMENSION))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SearchServer]:
    with running(tmp_path_factory.mktemp("data"), "--head-limit", "10000") as server:
        server.create("well", DIMENSION)
        for start in range(0, ITEMS, 500):
            server.upsert(
                "well", [_item(n, {"kind": f"k{n % 5}"}) for n in range(start, start + 500)]
            )
        server.create(
            "ill",
            DIMENSION,
            settings=cpb.CollectionSettings(
                duplicates=cpb.DuplicateSettings(policy=cpb.DUPLICATE_POLICY_FLAG, threshold=0.05)
            ),
        )
        server.upsert(
            "ill",
            [_item(n, {"at": "2024-05-01 12:00:00", "id": str(2**53 + n)}) for n in range(1, 300)],
        )
        server.create("bare", DIMENSION)
        server.create("noise", DIMENSION)
        for start in range(0, ITEMS, 500):
            server.upsert("noise", [_item(n, {}, NOISE) for n in range(start, start + 500)])
        for name in ("well", "noise"):
            _until_in_graph(server, name, 10_000)
        yield server


def _until_in_graph(server: SearchServer, name: str, vectors: int) -> None:
    request = cpb.GetCollectionRequest(collection=name)
    for _ in range(3_000):
        if server.collections.GetCollection(request).collection.stats.graph_vectors >= vectors:
            return
        time.sleep(0.02)
    raise AssertionError("no graph was built")


def _item(number: int, fields: dict[str, Any], vectors: Any = VECTORS) -> spb.VectorUpsert:
    metadata = Struct()
    metadata.update(fields)
    return spb.VectorUpsert(
        id=f"item-{number}", vector_f32_le=packed(vectors[number]), metadata=metadata
    )


def check(server: SearchServer, **options: Any) -> dict[str, pb.CheckFinding]:
    stub = analysis_pb2_grpc.AnalysisServiceStub(server.channel)
    said = list(stub.Check(pb.CheckRequest(**options)))
    assert said[0].progress.stage in {"reading items", "looking at vectors"}
    assert all(each.WhichOneof("content") == "progress" for each in said[:-1])
    return {each.name: each for each in said[-1].report.findings}


def test_a_collection_that_is_well_has_no_warning(server: SearchServer) -> None:
    found = check(
        server,
        collection="well",
        filters=[fpb.Filter(expression='kind = "k1"')],
        fields=["kind"],
        label_field="kind",
        recall_target=0.9,
        max_queries=200,
    )
    unwell = {
        name: each.found for name, each in found.items() if each.verdict != pb.CHECK_VERDICT_OK
    }
    assert unwell == {}
    assert 0.9 <= found["recall"].value <= 1.0
    assert "ranked again" in found["compact_form"].found
    assert found["filters_match"].value == ITEMS / 5


def test_planted_mistakes_are_told_with_what_to_do(server: SearchServer) -> None:
    found = check(
        server,
        collection="ill",
        filters=[fpb.Filter(expression='knd = "k1"')],
        fields=["At"],
    )
    verdicts = {name: each.verdict for name, each in found.items()}
    warn, fail = pb.CHECK_VERDICT_WARN, pb.CHECK_VERDICT_FAIL
    assert verdicts["times_without_offset"] == verdicts["numbers_beyond_2_53"] == warn
    assert verdicts["threshold_validated"] == warn
    assert verdicts["threshold_scores"] == verdicts["filters_match"] == fail
    assert verdicts["fields_there"] == fail
    assert 'did you mean "at"' in found["fields_there"].found
    assert all(each.advice for each in found.values() if each.verdict != pb.CHECK_VERDICT_OK)


def test_a_recall_below_the_target_fails(server: SearchServer) -> None:
    found = check(server, collection="noise", max_queries=100)
    assert found["recall"].verdict == pb.CHECK_VERDICT_FAIL
    assert 0.0 < found["compact_form"].value < found["recall"].value < 0.95
    assert found["compact_form"].verdict == pb.CHECK_VERDICT_WARN


def test_an_empty_collection_is_told(server: SearchServer) -> None:
    found = check(server, collection="bare")
    assert found["items"].verdict == pb.CHECK_VERDICT_WARN
    assert all(
        each.verdict == pb.CHECK_VERDICT_OK for name, each in found.items() if name != "items"
    )


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"recall_target": 1.5}, "recall_target"),
        ({"max_queries": 10_001}, "max_queries"),
        ({"fields": ["a..b"]}, "fields[0]"),
        ({"label_field": "a..b"}, "label_field"),
        ({"filters": [fpb.Filter()]}, "filters[0]"),
        ({"filters": [fpb.Filter(expression="kind =")]}, "filters[0].expression"),
        ({"fields": ["a"] * 101}, "fields"),
    ],
)
def test_what_cannot_be_asked_is_refused(
    server: SearchServer, options: dict[str, Any], field: str
) -> None:
    with refused() as found:
        check(server, collection="well", **options)
    (error,) = found
    assert isinstance(error, InvalidField)
    assert error.field == field


def test_the_clients_bring_the_report(server: SearchServer) -> None:
    stages: list[str] = []
    with Client(f"127.0.0.1:{server.port}") as client:
        report = client.analysis.check(
            "ill", filters=["at = 'x'"], on_progress=lambda said: stages.append(said.stage)
        )
    assert report.verdict is CheckVerdict.FAIL
    assert (report.items, report.queries) == (299, 299)
    assert "comparing with all" in stages
    assert {each.name for each in report.findings if each.value is None}
