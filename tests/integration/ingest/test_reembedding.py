"""A collection moves to another model while it is written; both hold what a dictionary says."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import grpc
import pytest
from google.protobuf.struct_pb2 import Struct

from lookalike.v1 import collection_pb2, errors_pb2, ingest_pb2, reembedding_pb2, search_pb2
from lookalike.v1.reembedding_pb2_grpc import ReembeddingServiceStub
from tests.integration.ingest.caller import Caller, caller
from tests.integration.ingest.embedder_stub import MODELS, vector_of
from tests.integration.ingest.system import System

T = TypeVar("T")
OLD, NEW, ALIAS = "old", "new", "photos"


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    directory = tmp_path_factory.mktemp("reembedding")
    system = System(directory, embedder_options=("--models", "stub,second"))
    try:
        system.start()
        yield system
    finally:
        system.stop()


@dataclass
class Writer:
    """Writes by the alias, one change at a time, and notes what must come of it."""

    one: Caller
    seed: int
    collection: str = ALIAS
    state: dict[str, tuple[bytes, str]] = field(default_factory=dict)
    originals: dict[str, bytes] = field(default_factory=dict)
    changes: int = 0

    async def run(self, stop: asyncio.Event) -> None:
        chance = random.Random(self.seed)
        while not stop.is_set():
            await self.change(chance)
            await asyncio.sleep(0.002)

    async def change(self, chance: random.Random) -> None:
        id = f"item-{chance.randrange(80):03}"
        value = f"value-{self.changes}"
        self.changes += 1
        kind = chance.choice(["upload", "upload", "metadata", "delete", "at once", "gone"])
        if kind == "upload":
            await self.upload(id, value)
        elif kind == "metadata":
            await self.queue(metadata=ingest_pb2.ImageMetadata(id=id, metadata=struct(value)))
            self.tell(id, value)
        elif kind == "delete":
            await self.queue(delete=ingest_pb2.ImageDelete(id=id))
            self.state.pop(id, None)
        elif kind == "at once":
            update = search_pb2.MetadataUpdate(id=id, metadata=struct(value))
            await persistently(
                lambda: self.one.search.UpdateMetadata(
                    search_pb2.UpdateMetadataRequest(collection=self.collection, updates=[update])
                )
            )
            self.tell(id, value)
        else:
            item = search_pb2.ItemDelete(id=id)
            await persistently(
                lambda: self.one.search.DeleteItems(
                    search_pb2.DeleteItemsRequest(collection=self.collection, items=[item])
                )
            )
            self.state.pop(id, None)

    async def upload(self, id: str, value: str) -> None:
        picture = f"picture-{value}".encode()
        await self.queue(
            upload=ingest_pb2.ImageUpload(id=id, image=picture, metadata=struct(value))
        )
        self.state[id] = (picture, value)
        self.originals[id] = picture

    def tell(self, id: str, value: str) -> None:
        if id in self.state:
            self.state[id] = (self.state[id][0], value)

    async def queue(self, **mutation: Any) -> None:
        request = ingest_pb2.SubmitImagesRequest(
            request_id=1,
            collection=self.collection,
            **mutation,
        )

        async def submit() -> None:
            async for answer in self.one.ingest.SubmitImages(_alone(request)):
                if answer.HasField("error"):
                    assert answer.error.retryable, answer.error
                    raise Refused
                return
            raise Refused

        await persistently(submit)


class Refused(Exception):
    """To be sent again."""


async def _alone(
    request: ingest_pb2.SubmitImagesRequest,
) -> AsyncIterator[ingest_pb2.SubmitImagesRequest]:
    yield request


_PASSING = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
}


async def persistently(call: Callable[[], Awaitable[T]]) -> T:
    """Call until it succeeds, through restarts of the service."""
    while True:
        try:
            return await call()
        except Refused:
            pass
        except grpc.aio.AioRpcError as error:
            if error.code() not in _PASSING:
                raise
        await asyncio.sleep(0.05)


def struct(value: str) -> Struct:
    metadata = Struct()
    metadata["value"] = value
    return metadata


class Moving:
    """What somebody does who moves a collection."""

    def __init__(self, one: Caller, originals: Mapping[str, bytes]) -> None:
        self.one = one
        self.stub = ReembeddingServiceStub(one.channel)
        self.originals = originals

    async def begin(self) -> None:
        await self.one.collections.CreateCollection(
            collection_pb2.CreateCollectionRequest(name=NEW, model="second")
        )
        await self.stub.StartReembedding(
            reembedding_pb2.StartReembeddingRequest(source=ALIAS, target=NEW)
        )

    async def progress(self) -> reembedding_pb2.Reembedding:
        request = reembedding_pb2.GetReembeddingRequest(collection=NEW)
        answer = await persistently(lambda: self.stub.GetReembedding(request))
        return answer.reembedding

    async def fill(self, collection: str = NEW) -> int:
        """Offer what is missing until nothing is; return how many were queued."""
        queued = 0
        while True:
            request = reembedding_pb2.ListMissingItemsRequest(collection=collection, page_size=20)
            page = await persistently(partial(self.stub.ListMissingItems, request))
            if not page.items:
                return queued
            offer = reembedding_pb2.OfferImagesRequest(
                collection=collection,
                images=[
                    reembedding_pb2.OfferedImage(id=each.id, image=self.originals[each.id])
                    for each in page.items
                ],
            )
            answer = await persistently(partial(self.stub.OfferImages, offer))
            queued += sum(outcome.queued for outcome in answer.outcomes)

    async def point(self, collection: str) -> None:
        request = collection_pb2.SetAliasRequest(alias=ALIAS, collection=collection)
        await persistently(lambda: self.one.collections.SetAlias(request))

    async def settled(self) -> None:
        async with asyncio.timeout(30):
            while True:
                found = await self.progress()
                if not (
                    found.unsettled
                    or found.target_queued
                    or found.source_queued
                    or found.target_missing
                    or found.source_missing
                ):
                    return
                await asyncio.sleep(0.1)


async def test_nothing_is_lost_or_mixed_under_a_writer_through_all_of_it(system: System) -> None:
    async with caller(system.search_address) as one:
        await one.create(OLD)
        writer = Writer(one, seed=1)
        moving = Moving(one, writer.originals)
        await moving.point(OLD)
        for number in range(60):
            await writer.upload(f"item-{number:03}", f"first-{number}")
        await one.drained(30)
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(writer.run(stop))
            try:
                await asyncio.sleep(0.3)
                await moving.begin()
                assert await moving.fill() > 0
                await asyncio.sleep(0.3)
                await asyncio.to_thread(system.search.kill)
                await asyncio.to_thread(system.search.start)
                await moving.fill()
                await moving.point(NEW)
                await asyncio.sleep(0.3)
                await asyncio.to_thread(system.worker.kill)
                await asyncio.to_thread(system.worker.start)
                await moving.point(OLD)
                await asyncio.sleep(0.3)
                await moving.point(NEW)
                await asyncio.sleep(0.3)
            finally:
                stop.set()
        await one.drained(30)
        await moving.settled()
        assert writer.changes > 50
        for name, model in ((OLD, "stub"), (NEW, "second")):
            found = await one.items(name)
            assert {id: value for id, (_, value) in found.items()} == {
                id: value for id, (_, value) in writer.state.items()
            }, name
            assert {id: vector for id, (vector, _) in found.items()} == {
                id: vector_of(picture, model) for id, (picture, _) in writer.state.items()
            }, name
        # A collection that is still needed is not removed.
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await one.collections.DeleteCollection(collection_pb2.DeleteCollectionRequest(name=OLD))
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        ended = await moving.stub.EndReembedding(
            reembedding_pb2.EndReembeddingRequest(collection=ALIAS, delete_collection=OLD)
        )
        assert (ended.source, ended.target) == (OLD, NEW)
        assert ended.deleted_items == len(writer.state)
        # What is written from then on is of one collection, past all versions so far.
        await writer.upload("alone", "last")
        await one.drained(30)
        assert set(await one.items(NEW)) == set(writer.state)
        await one.collections.DeleteCollection(collection_pb2.DeleteCollectionRequest(name=NEW))


async def test_a_picture_that_came_as_a_vector_is_told_as_missing(system: System) -> None:
    async with caller(system.search_address) as one:
        await one.create("plain")
        await one.collections.CreateCollection(
            collection_pb2.CreateCollectionRequest(name="next", model="second")
        )
        stub = ReembeddingServiceStub(one.channel)
        with pytest.raises(grpc.aio.AioRpcError) as unsuited:
            await stub.StartReembedding(
                reembedding_pb2.StartReembeddingRequest(source="plain", target="plain")
            )
        assert unsuited.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        begun = await stub.StartReembedding(
            reembedding_pb2.StartReembeddingRequest(source="plain", target="next")
        )
        assert (begun.reembedding.source, begun.reembedding.target) == ("plain", "next")
        item = search_pb2.VectorUpsert(
            id="a", vector_f32_le=vector_of(b"a"), model_fingerprint=MODELS["stub"]
        )
        item.facts.sha256 = bytes(32)

        async def upserts() -> AsyncIterator[search_pb2.UpsertVectorsRequest]:
            yield search_pb2.UpsertVectorsRequest(collection="plain", items=[item])

        async for _ in one.search.UpsertVectors(upserts()):
            pass
        page = await stub.ListMissingItems(
            reembedding_pb2.ListMissingItemsRequest(collection="next")
        )
        assert [(each.id, each.sha256) for each in page.items] == [("a", bytes(32))]
        offer = reembedding_pb2.OfferImagesRequest(
            collection="next",
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
        assert (await one.items("next"))["a"][0] == vector_of(b"another", "second")
        again = await stub.OfferImages(offer)
        assert not again.outcomes[0].queued
        assert not again.outcomes[0].HasField("error")
        with contextlib.suppress(grpc.aio.AioRpcError):
            await stub.EndReembedding(reembedding_pb2.EndReembeddingRequest(collection="next"))
