"""Searches by text, with real processes: an encoder of two towers, and one of pictures."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from lookalike.v1 import embedder_pb2 as epb
from lookalike.v1 import search_pb2 as spb
from lookalike.wire.errors import InvalidField, LimitExceeded, Precondition, Reason
from lookalike_client import Client, Example, Query, VectorItem
from lookalike_client.cli.main import run
from tests.integration.embedder_process import EmbedderProcess
from tests.integration.search_server import SearchServer, refused, running
from tests.tiny_openclip import tiny

PICTURES_ONLY = """
from torch import nn
from embedder_service.models.own import OwnEncoder


def encoder() -> OwnEncoder:
    pooled = nn.Sequential(nn.Conv2d(3, 8, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return OwnEncoder(pooled, size_px=16)
"""


@dataclass
class System:
    """What runs, and the model that it serves."""

    embedder: EmbedderProcess
    server: SearchServer
    client: Client
    model: Any
    vectors: dict[str, Any]

    def text(self, text: str) -> Any:
        """Return a text's unit vector by the library."""
        import open_clip

        with torch.inference_mode():
            return self.model.encode_text(open_clip.tokenize([text]), normalize=True)[0].numpy()


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    folder = tmp_path_factory.mktemp("texts")
    model, text = tiny(folder)
    only = folder / "only.py"
    only.write_text(PICTURES_ONLY)
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3))
    torch.save(network.state_dict(), folder / "only.pt")
    models = f"{text},python:{only}={folder}/only.pt"
    embedder = EmbedderProcess("--models", models, "--device", "torch-cpu", "--cpu-threads", "1")
    try:
        with (
            running(folder / "data", "--embedders", embedder.target) as server,
            Client(f"127.0.0.1:{server.port}", timeout_s=60) as client,
        ):
            made = client.collections.create("photos")
            client.collections.create("plain", model="python:only.py")
            client.collections.create("external", model=None, dimension=3)
            rows = np.random.default_rng(3).normal(size=(40, 48)).astype(np.float32)
            vectors = {f"i{n}": row / np.linalg.norm(row) for n, row in enumerate(rows)}
            items = [
                VectorItem(key, row, model_fingerprint=made.model_fingerprint)
                for key, row in vectors.items()
            ]
            assert all(each.error is None for each in client.upsert_vectors("photos", items))
            yield System(embedder, server, client, model, vectors)
    finally:
        embedder.stop()


def picture(folder: Path) -> Path:
    path = folder / "photo.png"
    shades = np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(shades).save(path)
    return path


def ranked(system: System, vector: Any, count: int = 10) -> list[tuple[str, Any]]:
    """Return the nearest items by all cosines."""
    unit = vector / np.linalg.norm(vector)
    scores = {key: float(unit @ row) for key, row in system.vectors.items()}
    best = sorted(scores, key=lambda key: (-scores[key], key))[:count]
    return [(key, pytest.approx(scores[key], abs=1e-5)) for key in best]


def found(system: System, query: Query, **options: Any) -> list[tuple[str, float]]:
    return [(hit.id, hit.score) for hit in system.client.search("photos", query, **options).hits]


def test_embedders_answer_texts_in_the_space_of_images(system: System) -> None:
    channel, stub = system.embedder.sync_stub()
    texts = ["a red shoe", "a green hat", "ein Schuh", "a red shoe"]
    answer = stub.EmbedText(epb.EmbedTextRequest(texts=texts), timeout=60)
    rows = [np.frombuffer(each, dtype="<f4") for each in answer.vectors_f32_le]
    for text, row in zip(texts, rows, strict=True):
        assert np.abs(row - system.text(text)).max() < 1e-5
    first, second = stub.ListModels(epb.ListModelsRequest(), timeout=60).models
    assert (first.embeds_text, second.embeds_text) == (True, False)
    assert answer.model_fingerprint == first.fingerprint
    with refused() as errors:
        stub.EmbedText(epb.EmbedTextRequest(texts=texts, model="python:only.py"), timeout=60)
    assert errors[0].reason is Reason.MODEL_MISMATCH
    assert errors[0].field == "texts"
    assert "python:only.py knows pictures only" in errors[0].message
    with refused() as errors:
        stub.EmbedText(epb.EmbedTextRequest(texts=["a", ""]), timeout=60)
    assert isinstance(errors[0], InvalidField)
    assert errors[0].field == "texts[1]"
    channel.close()


def test_a_text_finds_what_is_near_its_vector(system: System) -> None:
    query = Query.by_text("a red shoe")
    assert found(system, query) == ranked(system, system.text("a red shoe"))
    plan = system.client.search("photos", query, explain=True).plan
    assert plan is not None
    assert plan.embed_s > 0
    queries = [Query.by_text("a hat"), Query.by_id("i3"), Query.by_text("a red shoe")]
    many = system.client.search_many("photos", queries, limit=3)
    best = ranked(system, system.text("a red shoe"), 3)
    assert [(hit.id, hit.score) for hit in many[2].hits] == best
    pages = system.client.search_pages("photos", query, limit=4)
    paged = [next(pages), next(pages)]
    assert [hit.id for page in paged for hit in page.hits] == [
        key for key, _ in ranked(system, system.text("a red shoe"), 8)
    ]


def test_text_and_image_count_by_their_weights(system: System, tmp_path: Path) -> None:
    photo = picture(tmp_path)
    seen = system.client.make_vectors("photos", [photo])[0]
    said = system.text("a red shoe")
    for weight in (None, 0.25, 3.0):
        query = Query.by_examples(
            [Example.by_image(photo), Example.by_text("a red shoe", weight=weight)],
            [Example.by_id("i5", weight=2), Example.by_text("a hat")],
        )
        positives = (seen + (weight or 1.0) * said) / (1 + (weight or 1.0))
        negatives = (2 * system.vectors["i5"] + system.text("a hat")) / 3
        kept = [each for each in ranked(system, 2 * positives - negatives, 11) if each[0] != "i5"]
        assert found(system, query) == kept[:10]


def test_the_command_searches_by_text(
    system: System, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo = picture(tmp_path)
    address = f"127.0.0.1:{system.server.port}"

    def ids(*words: str) -> list[str]:
        assert run(["--address", address, "--json", "search", "-c", "photos", *words]) == 0
        return [hit["id"] for hit in json.loads(capsys.readouterr().out)["hits"]]

    seen = system.client.make_vectors("photos", [photo])[0]
    said = system.text("a red shoe")
    assert ids("--text", "a red shoe") == [key for key, _ in ranked(system, said)]
    together = ids(str(photo), "--text", "a red shoe", "--text-weight", "2")
    assert together == [key for key, _ in ranked(system, seen + 2 * said)]
    away = ranked(system, 2 * said - system.vectors["i7"], 11)
    assert (
        ids("--text", "a red shoe", "--unlike", "i7")
        == [key for key, _ in away if key != "i7"][:10]
    )
    for words in (["--text-weight", "2", "--id", "i1"], ["--text", "a", "--best-score"], []):
        assert run(["--address", address, "search", *words]) == 2
        assert "--text" in capsys.readouterr().err
    assert run(["--address", address, "search", "-c", "plain", "--text", "a red shoe"]) == 1
    said_of_plain = " ".join(capsys.readouterr().err.split())
    assert 'the encoder of collection "plain" has no text tower' in said_of_plain


@pytest.mark.parametrize("name", ["plain", "external"])
def test_a_collection_without_a_text_tower_says_so(system: System, name: str) -> None:
    for query, field in (
        (Query.by_text("a red shoe"), "queries[0].text"),
        (
            Query.by_examples([Example.by_text("a red shoe")]),
            "queries[0].examples.positives[0].text",
        ),
    ):
        with pytest.raises(Precondition) as caught:
            system.client.search(name, query)
        assert (caught.value.reason, caught.value.field) == (Reason.MODEL_MISMATCH, field)


def test_texts_and_weights_keep_limits(system: System) -> None:
    def error(query: spb.Query) -> Any:
        request = spb.SearchRequest(collection="photos", queries=[query])
        with refused() as errors:
            system.server.search.Search(request, timeout=60)
        return errors[0]

    assert error(spb.Query(text=" ")).field == "queries[0].text"
    long = error(spb.Query(text="a" * 1001))
    assert isinstance(long, LimitExceeded)
    example = "queries[0].examples.negatives[0]"
    for weight in (0.0, -1.0, 1001.0, float("nan"), float("inf")):
        examples = spb.Examples(
            positives=[spb.Example(id="i1")], negatives=[spb.Example(id="i2", weight=weight)]
        )
        assert error(spb.Query(examples=examples)).field == f"{example}.weight"
    best = spb.Examples(
        positives=[spb.Example(text="a", weight=2)], mode=spb.EXAMPLE_MODE_BEST_SCORE
    )
    assert error(spb.Query(examples=best)).field == "queries[0].examples.positives[0].weight"


def test_pictures_are_embedded_beside_texts(system: System) -> None:
    out = io.BytesIO()
    Image.new("RGB", (80, 60), (200, 30, 30)).save(out, "PNG")
    hits = system.client.search("photos", Query.by_image(out.getvalue()), limit=40).hits
    assert {hit.id for hit in hits} == set(system.vectors)
