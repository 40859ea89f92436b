"""What tests of collections that move to another model begin with, and wait for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import grpc
import pytest

from lookalike.v1 import collection_pb2, errors_pb2, reembedding_pb2, search_pb2
from lookalike.v1.reembedding_pb2_grpc import ReembeddingServiceStub
from tests.integration.ingest.caller import Caller
from tests.integration.ingest.embedder_stub import MODELS, vector_of
from tests.integration.ingest.writing import Writer, item_id, persistently


async def written(one: Caller, collection: str, folder: Path, count: int) -> Writer:
    """Make a collection of so many items, whose originals are in a folder."""
    await one.create(collection)
    writer = Writer(one, 1, collection, folder)
    for number in range(count):
        await writer.upload(item_id(number), f"{collection}-{number}")
    await one.drained(30)
    return writer


async def set_alias(one: Caller, alias: str, collection: str) -> None:
    request = collection_pb2.SetAliasRequest(alias=alias, collection=collection)
    await one.collections.SetAlias(request)


async def settled(one: Caller, collection: str) -> None:
    """Wait until both collections of a pair have all that the other has."""
    stub = ReembeddingServiceStub(one.channel)
    request = reembedding_pb2.GetReembeddingRequest(collection=collection)
    async with asyncio.timeout(30):
        while True:
            found = (await persistently(partial(stub.GetReembedding, request))).reembedding
            lacking = found.target_missing + found.source_missing + found.unsettled
            if not lacking + found.target_queued + found.source_queued:
                return
            await asyncio.sleep(0.1)


async def upsert(one: Caller, collection: str, item: search_pb2.VectorUpsert) -> None:
    """Store an item of which the service never saw a picture."""

    async def upserts() -> AsyncIterator[search_pb2.UpsertVectorsRequest]:
        yield search_pb2.UpsertVectorsRequest(collection=collection, items=[item])

    async for answer in one.search.UpsertVectors(upserts()):
        assert not any(result.HasField("error") for result in answer.results)


async def check_vectors_are_told(one: Caller, source: str, target: str) -> None:
    """Hold that what came as a vector counts as missing, and is taken where it is offered."""
    await one.collections.CreateCollection(
        collection_pb2.CreateCollectionRequest(name=target, model="second")
    )
    stub = ReembeddingServiceStub(one.channel)
    with pytest.raises(grpc.aio.AioRpcError) as unsuited:
        await stub.StartReembedding(
            reembedding_pb2.StartReembeddingRequest(source=source, target=source)
        )
    assert unsuited.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    await stub.StartReembedding(
        reembedding_pb2.StartReembeddingRequest(source=source, target=target)
    )
    rejecting = collection_pb2.UpdateCollectionRequest(collection=source)
    rejecting.duplicates.policy = collection_pb2.DUPLICATE_POLICY_REJECT
    rejecting.duplicates.threshold = 0.9
    with pytest.raises(grpc.aio.AioRpcError, match="flag near-duplicates") as refused:
        await one.collections.UpdateCollection(rejecting)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    item = search_pb2.VectorUpsert(
        id="a", vector_f32_le=vector_of(b"a"), model_fingerprint=MODELS["stub"]
    )
    item.facts.sha256 = bytes(32)
    await upsert(one, source, item)
    page = await stub.ListMissingItems(reembedding_pb2.ListMissingItemsRequest(collection=target))
    assert [(each.id, each.sha256) for each in page.items] == [("a", bytes(32))]
    offer = reembedding_pb2.OfferImagesRequest(
        collection=target,
        images=[
            reembedding_pb2.OfferedImage(id="a", image=b"another"),
            reembedding_pb2.OfferedImage(id="nowhere", image=b"x"),
        ],
    )
    changed, unknown = (await stub.OfferImages(offer)).outcomes
    assert not changed.queued
    assert "another file" in changed.error.message
    assert unknown.error.reason == errors_pb2.ERROR_REASON_ITEM_NOT_FOUND
    offer.accept_changed = True
    assert (await stub.OfferImages(offer)).outcomes[0].queued
    await one.drained(20)
    assert (await one.items(target))["a"][0] == vector_of(b"another", "second")
    again = await stub.OfferImages(offer)
    assert not again.outcomes[0].queued
    assert not again.outcomes[0].HasField("error")
