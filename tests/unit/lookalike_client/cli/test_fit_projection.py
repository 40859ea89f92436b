"""`lookalike fit-projection` on a collection, its export, and a folder."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from lookalike.v1 import embedder_pb2, embedder_pb2_grpc
from lookalike.wire.projection import Projection
from lookalike.wire.vectors import F32, encode
from lookalike_client import Client, VectorItem
from lookalike_client.parquet import export_collection
from lookalike_client.testing import FINGERPRINT, FakeServer
from tests.unit.lookalike_client.cli.running import ran

Captured = pytest.CaptureFixture[str]

OWN = 160
# By these bytes a file is known as a picture.
JPEG = b"\xff\xd8\xff"
SERVED = "cd" * 32


def vector_of(number: int) -> F32:
    vector = np.random.default_rng(number).standard_normal(OWN).astype(np.float32)
    unit: F32 = vector / np.linalg.norm(vector)
    return unit


class Embedder(embedder_pb2_grpc.EmbedderServiceServicer):
    """Makes a vector of the number that a file holds; refuses some at first as too many."""

    def __init__(self) -> None:
        self.seen: set[bytes] = set()

    def GetModel(
        self, request: embedder_pb2.GetModelRequest, context: grpc.ServicerContext
    ) -> embedder_pb2.GetModelResponse:
        return embedder_pb2.GetModelResponse(
            model=embedder_pb2.Model(name="fake", fingerprint=SERVED, dimension=OWN)
        )

    def EmbedImage(
        self, request: embedder_pb2.EmbedImageRequest, context: grpc.ServicerContext
    ) -> embedder_pb2.EmbedImageResponse:
        assert (request.model, request.lane) == (SERVED, embedder_pb2.LANE_BULK)
        if request.encoded == JPEG + b"no picture":
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "the image file is damaged")
        if request.encoded.endswith(b"7") and request.encoded not in self.seen:
            self.seen.add(request.encoded)
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "too many images wait")
        vector = encode(vector_of(int(request.encoded.removeprefix(JPEG))))
        return embedder_pb2.EmbedImageResponse(
            embedding=embedder_pb2.Embedding(vector_f32_le=vector, model_fingerprint=SERVED)
        )

    def EmbedImages(
        self, request_iterator: Any, context: grpc.ServicerContext
    ) -> Iterator[embedder_pb2.EmbedImagesResponse]:
        raise NotImplementedError

    def EmbedText(
        self, request: embedder_pb2.EmbedTextRequest, context: grpc.ServicerContext
    ) -> embedder_pb2.EmbedTextResponse:
        raise NotImplementedError

    def ListModels(
        self, request: embedder_pb2.ListModelsRequest, context: grpc.ServicerContext
    ) -> embedder_pb2.ListModelsResponse:
        raise NotImplementedError


@pytest.fixture
def embedder() -> Iterator[str]:
    with ThreadPoolExecutor(4) as threads:
        server = grpc.server(threads)
        embedder_pb2_grpc.add_EmbedderServiceServicer_to_server(Embedder(), server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        yield f"127.0.0.1:{port}"
        server.stop(None).wait()


@pytest.fixture
def collection() -> Iterator[str]:
    with FakeServer(dimension=OWN) as server, Client(server.address) as client:
        client.collections.create("items")
        items = [
            VectorItem(f"{n:04}", vector_of(n), model_fingerprint=FINGERPRINT) for n in range(300)
        ]
        list(client.upsert_vectors("items", items))
        yield server.address


def test_a_collection_and_its_export_give_one_projection(
    collection: str, tmp_path: Path, capsys: Captured
) -> None:
    first, second = tmp_path / "first.npz", tmp_path / "second.npz"
    ended = ran(capsys,
        "--address", collection, "fit-projection", "-c", "items", "--dim", "128", "--whiten",
        "--out", str(first), "--json",
    )  # fmt: skip
    assert ended.code == 0, ended.err
    told = json.loads(ended.out)
    assert (told["images"], told["from"], told["to"], told["whitened"]) == (300, OWN, 128, True)
    with Client(collection) as client:
        export_collection(client, "items", tmp_path / "items.parquet")
    ended = ran(capsys,
        "fit-projection", str(tmp_path / "items.parquet"), "--dim", "128", "--whiten",
        "--out", str(second),
    )  # fmt: skip
    assert ended.code == 0, ended.err
    assert "images 300" in " ".join(ended.out.split())
    one, other = Projection.load(first), Projection.load(second)
    assert one.model_fingerprint == other.model_fingerprint == FINGERPRINT
    np.testing.assert_allclose(one.basis, other.basis, rtol=1e-3, atol=1e-4)


def test_a_folder_is_embedded_first(embedder: str, tmp_path: Path, capsys: Captured) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(200):
        (folder / f"{number:03}.jpg").write_bytes(JPEG + str(number).encode())
    (folder / "torn.jpg").write_bytes(JPEG + b"no picture")
    (folder / "notes.txt").write_text("no picture either")
    out = tmp_path / "p.npz"
    ended = ran(
        capsys,
        "fit-projection",
        str(folder),
        "--embedder",
        embedder,
        "--dim",
        "128",
        "--out",
        str(out),
    )
    assert ended.code == 0, ended.err
    assert "torn.jpg: the image file is damaged" in ended.err
    projection = Projection.load(out)
    assert (projection.images, projection.model_fingerprint) == (200, SERVED)


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["--out", "p.npz"], 2, "Give a SOURCE or -c COLLECTION"),
        ([".", "-c", "x", "--out", "p.npz"], 2, "Give a SOURCE or -c COLLECTION"),
        (["."], 2, "--out"),
        ([".", "--out", "p.npz"], 2, "--embedder"),
        ([".", "--out", "p.npz", "--embedder", "here"], 2, "no host:port"),
        ([".", "--out", "p.npz", "--dim", "64"], 2, "128<=x<=1024"),
        ([".", "--out", "p.npz", "--embedder", "127.0.0.1:9"], 1, "no embedder answers"),
        (["a.parquet", "--out", "p.npz"], 1, "a.parquet"),
    ],
)  # fmt: skip
def test_what_cannot_be_fitted_is_told(
    arguments: list[str],
    code: int,
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Captured,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.parquet").write_bytes(b"no table")
    ended = ran(capsys, "fit-projection", *arguments)
    assert (ended.code, ended.err.count("\n")) == (code, 1)
    assert told in ended.err


def test_too_few_pictures_are_refused(collection: str, tmp_path: Path, capsys: Captured) -> None:
    out = tmp_path / "p.npz"
    with Client(collection) as client:
        client.collections.create("few")
    ended = ran(capsys, "--address", collection, "fit-projection", "-c", "few", "--out", str(out))
    assert ended.code == 1
    assert "at least 257 are needed" in ended.err
    assert not out.exists()
