"""An image is embedded by each model that its collection has vectors of."""

from __future__ import annotations

from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry

from embedder_service.worker.applier import Applier
from embedder_service.worker.metrics import WorkerMetrics
from embedder_service.worker.stats import Stats
from lookalike.serving.queue.entries import Kind, QueuedMutation, decode, encode
from lookalike.v1 import embedder_pb2, search_pb2
from lookalike.wire.digests import digest_of_files
from lookalike.wire.errors import ImageUnreadable

MUTATION = QueuedMutation(
    "c",
    "cup",
    Kind.UPLOAD,
    5,
    1,
    model_fingerprint="subject",
    image=b"front",
    further_images=(b"side", b"top"),
    named_models=(("style", "palette"), ("look", "texture")),
)


class Peer:
    """An embedder whose vectors say of what they are, and an index that keeps what it gets."""

    ready = True
    refusal = ""

    def __init__(self) -> None:
        self.stored: list[search_pb2.VectorUpsert] = []

    async def wait_ready(self) -> None:
        return

    async def embed(
        self, image: bytes, model: str, thumbnail_side_px: int = 0
    ) -> embedder_pb2.Embedding:
        if image == b"poison" and model == "palette":
            raise ImageUnreadable("is no picture")
        vector = image + b" by " + model.encode()
        return embedder_pb2.Embedding(vector_f32_le=vector, model_fingerprint=model)

    async def upsert(self, uid: str, item: search_pb2.VectorUpsert) -> search_pb2.MutationResult:
        self.stored.append(item)
        return search_pb2.MutationResult(id=item.id)

    async def update_metadata(
        self, uid: str, update: search_pb2.MetadataUpdate
    ) -> search_pb2.MutationResult:
        raise NotImplementedError

    async def delete(self, uid: str, item: search_pb2.ItemDelete) -> search_pb2.MutationResult:
        raise NotImplementedError


def applier(peer: Peer) -> Applier:
    metrics = WorkerMetrics(CollectorRegistry())
    return Applier(peer, peer, max_embeds_in_flight=2, stats=Stats(), metrics=metrics)


async def test_each_picture_is_embedded_by_each_model() -> None:
    peer = Peer()
    await applier(peer).apply(MUTATION)

    (item,) = peer.stored
    assert item.facts.further_sha256 == digest_of_files([b"side", b"top"])
    assert len(item.facts.further_sha256) == 32
    assert (item.vector_f32_le, item.model_fingerprint) == (b"front by subject", "subject")
    assert [(each.name, each.vector_f32_le, each.model_fingerprint) for each in item.vectors] == [
        ("", b"side by subject", ""),
        ("", b"top by subject", ""),
        ("style", b"front by palette", "palette"),
        ("style", b"side by palette", "palette"),
        ("style", b"top by palette", "palette"),
        ("look", b"front by texture", "texture"),
        ("look", b"side by texture", "texture"),
        ("look", b"top by texture", "texture"),
    ]


async def test_a_picture_that_one_model_cannot_take_is_told() -> None:
    peer = Peer()
    with pytest.raises(ImageUnreadable) as caught:
        await applier(peer).apply(replace(MUTATION, further_images=(b"poison",)))
    assert caught.value.message == "picture 2 of 2: is no picture"
    assert peer.stored == []


def test_an_entry_of_the_queue_holds_all_pictures_and_models() -> None:
    fields = encode(MUTATION)
    assert decode(dict(zip(fields[::2], fields[1::2], strict=True))) == MUTATION
