"""Somebody who writes to a collection all the time, and notes what must come of it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import grpc
from google.protobuf.struct_pb2 import Struct

from lookalike.v1 import ingest_pb2, search_pb2
from tests.integration.ingest.caller import Caller

T = TypeVar("T")


@dataclass
class Writer:
    """Writes one change at a time, and keeps the originals in a folder."""

    one: Caller
    seed: int
    collection: str
    originals: Path
    state: dict[str, tuple[bytes, str]] = field(default_factory=dict)
    changes: int = 0

    async def run(self, stop: asyncio.Event) -> None:
        chance = random.Random(self.seed)
        while not stop.is_set():
            await self.change(chance)
            await asyncio.sleep(0.002)

    async def change(self, chance: random.Random) -> None:
        id = item_id(chance.randrange(80))
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
        (self.originals / id).write_bytes(picture)
        await self.queue(
            upload=ingest_pb2.ImageUpload(id=id, image=picture, metadata=struct(value))
        )
        self.state[id] = (picture, value)

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


def item_id(number: int) -> str:
    return f"item-{number:03}.jpg"
