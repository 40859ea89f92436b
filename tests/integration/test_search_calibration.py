"""Calibration over a socket: from pairs, from labels, from copies; kept and taken over."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from google.protobuf.struct_pb2 import Struct

from lookalike.v1 import analysis_pb2_grpc, image_pb2
from lookalike.v1 import calibration_pb2 as pb
from lookalike.v1 import collection_pb2 as cpb
from lookalike.v1 import search_pb2 as spb
from lookalike.wire.errors import Reason
from lookalike_client import (
    CalibrationMode,
    Client,
    CopyEvidence,
    FromCollection,
    LabelEvidence,
    LabelledPairs,
    Precondition,
)
from tests.integration.search_server import ROOT, SearchServer, packed, refused, running

DIMENSION, ITEMS = 64, 1_000
RNG = np.random.default_rng(11)
# Pairs of near neighbours: items 2n and 2n + 1 are alike.
VECTORS = RNG.normal(size=(ITEMS, DIMENSION))
VECTORS[1::2] = VECTORS[::2] + RNG.normal(scale=0.25, size=(ITEMS // 2, DIMENSION))
VECTORS = (VECTORS / np.linalg.norm(VECTORS, axis=1, keepdims=True)).astype(np.float32)
COPIES = VECTORS + RNG.normal(scale=0.02, size=VECTORS.shape)
COPIES = (COPIES / np.linalg.norm(COPIES, axis=1, keepdims=True)).astype(np.float32)

WORKED_SCORES = (0.95, 0.92, 0.88, 0.83, 0.78, 0.65, 0.55, 0.40)
WORKED_ALIKE = (1, 1, 1, 0, 1, 0, 0, 0)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SearchServer]:
    with running(tmp_path_factory.mktemp("data")) as server:
        server.create("pairs", DIMENSION)
        server.upsert("pairs", [_item(n) for n in range(ITEMS)])
        server.create("worked", 2)
        server.upsert("worked", list(_worked()))
        yield server


def _item(number: int) -> spb.VectorUpsert:
    metadata = Struct()
    metadata["motif"] = f"motif-{number // 2}"
    # Items 2n and 2n + 1 of the first hundred came from the same file.
    digest = bytes([number // 2]) * 32 if number < 100 else b""
    return spb.VectorUpsert(
        id=f"item-{number}",
        vector_f32_le=packed(VECTORS[number]),
        metadata=metadata,
        facts=image_pb2.ImageFacts(sha256=digest),
    )


def _worked() -> Iterator[spb.VectorUpsert]:
    """Items a0, b0, a1, … of which a pair has a score of the worked example."""
    for number, score in enumerate(WORKED_SCORES):
        turn = np.array([score, np.sqrt(1 - score**2)])
        yield spb.VectorUpsert(id=f"a{number}", vector_f32_le=packed([1.0, 0.0]))
        yield spb.VectorUpsert(id=f"b{number}", vector_f32_le=packed(turn.tolist()))


def calibrate(server: SearchServer, collection: str, **options: Any) -> pb.CalibrationReport:
    stub = analysis_pb2_grpc.AnalysisServiceStub(server.channel)
    said = list(stub.Calibrate(pb.CalibrateRequest(collection=collection, **options)))
    return said[-1].report


def kept(server: SearchServer, name: str) -> cpb.Collection:
    request = cpb.GetCollectionRequest(collection=name)
    return server.collections.GetCollection(request).collection


def worked_pairs() -> pb.LabelledPairs:
    return pb.LabelledPairs(
        pairs=[
            pb.LabelledPair(id=f"a{number}", other_id=f"b{number}", alike=bool(alike))
            for number, alike in enumerate(WORKED_ALIKE)
        ]
    )


def test_the_worked_example_has_its_point(server: SearchServer) -> None:
    report = calibrate(
        server,
        "worked",
        pairs=worked_pairs(),
        precision_at_least=0.90,
        mode=pb.CALIBRATION_MODE_POINT,
    )
    assert report.decision.threshold == pytest.approx(0.88, abs=1e-6)
    assert (report.recall, report.precision) == (0.75, 1.0)
    assert report.decision.mode == pb.CALIBRATION_MODE_POINT
    assert (report.pairs_alike, report.pairs_other, report.decision.images) == (4, 4, 8)
    assert not kept(server, "worked").HasField("calibration")


def test_eight_pairs_do_not_bound_a_precision(server: SearchServer) -> None:
    with refused() as found:
        calibrate(server, "worked", pairs=worked_pairs(), precision_at_least=0.90)
    assert "takes at least 29 images" in found[0].message
    assert found[0].reason is Reason.INVALID_FIELD


def test_copies_give_a_threshold_that_is_kept_and_used(server: SearchServer) -> None:
    copies = [
        pb.ImageCopy(source_id=f"item-{n}", vector_f32_le=packed(COPIES[n])) for n in range(600)
    ]
    report = calibrate(
        server,
        "pairs",
        copies=pb.CopyEvidence(copies=copies),
        false_positive_rate_at_most=0.02,
        keep=True,
    )
    # What numpy alone says about it.
    scores = COPIES[:600] @ VECTORS.T
    own = scores[np.arange(600), np.arange(600)]
    others = scores.copy()
    others[np.arange(600), np.arange(600)] = -1
    first = np.arange(100)
    others[first, first ^ 1] = -1  # of the same file as the source
    best = others.max(axis=1)
    threshold = report.decision.threshold
    assert report.recall == pytest.approx((own >= threshold).mean(), abs=1e-9) == 1.0
    assert report.false_positive_rate == pytest.approx((best >= threshold).mean(), abs=1e-9)
    assert report.false_positive_rate_high <= 0.02
    assert (report.pairs_alike, report.pairs_other) == (600, 600 * (ITEMS - 1) - 100)
    assert sum(report.alike_scores) == 600
    assert sum(report.other_scores) == report.pairs_other

    collection = kept(server, "pairs")
    assert collection.calibration == report.decision
    assert (collection.calibration.images, collection.calibration.gallery_items) == (600, ITEMS)
    # Duplicate settings without a threshold take it.
    flag = cpb.DuplicateSettings(policy=cpb.DUPLICATE_POLICY_FLAG)
    request = cpb.UpdateCollectionRequest(collection="pairs", duplicates=flag)
    changed = server.collections.UpdateCollection(request).collection
    assert changed.settings.duplicates.threshold == pytest.approx(threshold)


def test_labels_give_the_threshold_that_numpy_finds(server: SearchServer) -> None:
    report = calibrate(
        server,
        "pairs",
        labels=pb.LabelEvidence(field="motif"),
        precision_at_least=0.99,
        mode=pb.CALIBRATION_MODE_POINT,
    )
    scores = VECTORS @ VECTORS.T
    np.fill_diagonal(scores, -1)
    alike = np.zeros_like(scores, dtype=bool)
    alike[np.arange(ITEMS), np.arange(ITEMS) ^ 1] = True
    thresholds = np.arange(0, 1_001) / 1_000
    precision = np.array(
        [alike[scores >= t].sum() / max(1, (scores >= t).sum()) for t in thresholds]
    )
    recall = np.array([(scores[alike] >= t).mean() for t in thresholds])
    best = max(recall[precision >= 0.99])
    assert report.recall == pytest.approx(best, abs=1e-9)
    assert report.precision >= 0.99
    assert report.decision.images == ITEMS


def test_a_decision_is_not_taken_over_from_vectors_of_unknown_origin(server: SearchServer) -> None:
    with refused() as found:
        calibrate(server, "worked", from_collection="pairs", keep=True)
    assert found[0].reason is Reason.MODEL_MISMATCH


@pytest.mark.parametrize(
    ("options", "field", "says"),
    [
        ({"precision_at_least": 0.9}, "evidence", "give pairs, labels, copies"),
        ({"pairs": worked_pairs()}, "constraint", "say which precision"),
        ({"pairs": worked_pairs(), "precision_at_least": 1.0}, "precision_at_least", "below 1"),
        ({"pairs": worked_pairs(), "precision_at_least": 0.9, "confidence": 0.2},
         "confidence", "at least 0.5"),
        ({"pairs": pb.LabelledPairs(pairs=[pb.LabelledPair(id="a0", other_id="nobody")]),
          "precision_at_least": 0.9}, "pairs", '"nobody"'),
        ({"pairs": pb.LabelledPairs(pairs=[pb.LabelledPair(id="a0", other_id="a0")]),
          "precision_at_least": 0.9}, "pairs.pairs[0].other_id", "same item"),
        ({"pairs": pb.LabelledPairs(pairs=[pb.LabelledPair(id="a0", other_id="b0", alike=True)]),
          "precision_at_least": 0.9}, "pairs", "no pair is not alike"),
        ({"copies": pb.CopyEvidence(copies=[pb.ImageCopy(source_id="a0", vector_f32_le=b"12")]),
          "precision_at_least": 0.9}, "copies.copies[0].vector_f32_le", "4 bytes a dimension"),
        ({"labels": pb.LabelEvidence(field="motif"), "precision_at_least": 0.9},
         "label_field", "no item has a label"),
    ],
)  # fmt: skip
def test_what_cannot_be_calibrated_is_refused(
    server: SearchServer, options: dict[str, Any], field: str, says: str
) -> None:
    with refused() as found:
        calibrate(server, "worked", **options)
    assert found[0].field == field
    assert says in found[0].message


def test_the_clients_calibrate_and_show_what_is_kept(server: SearchServer) -> None:
    pairs = [(pair.id, pair.other_id, pair.alike) for pair in worked_pairs().pairs]
    with Client(f"127.0.0.1:{server.port}") as client:
        report = client.analysis.calibrate(
            "worked",
            LabelledPairs(pairs),
            precision_at_least=0.9,
            mode=CalibrationMode.POINT,
            keep=True,
        )
        collection = client.collections.get("worked")
        labels = client.analysis.calibrate(
            "pairs", LabelEvidence("motif", max_queries=500), false_positive_rate_at_most=0.1
        )
        with pytest.raises(Precondition, match="vectors that callers make"):
            client.analysis.calibrate("pairs", FromCollection("worked"))
        copies = CopyEvidence([(f"item-{n}", COPIES[n]) for n in range(100)])
        few = client.analysis.calibrate("pairs", copies, precision_at_least=0.9)
    assert collection.calibration == report.decision
    assert report.decision.precision_at_least == 0.9
    assert report.decision.false_positive_rate_at_most is None
    assert labels.decision.images == 500
    assert few.recall == 1.0
    assert "calibrated" in run_command("collections", "show", "worked", server=server)


def run_command(*arguments: str, server: SearchServer) -> str:
    said = subprocess.run(
        [sys.executable, "-m", "lookalike_client", *arguments,
         "--address", f"127.0.0.1:{server.port}"],
        capture_output=True, text=True, check=True, cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT}/client:{ROOT}/protos"},
    )  # fmt: skip
    return said.stdout
