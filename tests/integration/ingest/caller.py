"""A caller of the system: submits until accepted, in order for each id, and waits."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

import grpc
from google.protobuf import struct_pb2

from lookalike.v1 import (
    collection_pb2,
    collection_pb2_grpc,
    ingest_pb2,
    ingest_pb2_grpc,
    search_pb2,
    search_pb2_grpc,
)
from lookalike.wire.channel import ChannelOptions, aio_channel, service_config
from lookalike.wire.errors import Unavailable
from lookalike.wire.status import from_rpc_error

_RETRY = service_config(
    [("lookalike.v1.SearchService", ""), ("lookalike.v1.CollectionService", "")], timeout_s=30.0
)


@dataclass
class Caller:
    """Stubs of one system, and what it accepted."""

    channel: grpc.aio.Channel
    job_id: str = "job"
    versions: dict[str, int] = field(default_factory=dict)
    accepted: int = 0
    hard_errors: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.ingest = ingest_pb2_grpc.IngestServiceStub(self.channel)
        self.search = search_pb2_grpc.SearchServiceStub(self.channel)
        self.collections = collection_pb2_grpc.CollectionServiceStub(self.channel)

    async def create(self, name: str = "c", duplicates: float = 0.0) -> None:
        """Create a collection bound to the embedder's default model."""
        request = collection_pb2.CreateCollectionRequest(name=name, model="")
        if duplicates:
            request.settings.duplicates.policy = collection_pb2.DUPLICATE_POLICY_REJECT
            request.settings.duplicates.threshold = duplicates
        await self.collections.CreateCollection(request)

    async def submit(self, operations: Sequence[tuple[str, str, str]]) -> None:
        """Submit (kind, id, value) until all are accepted. An operation on an id
        waits until the one before it on the same id was accepted."""
        lanes: dict[str, list[tuple[str, str, str]]] = {}
        for operation in operations:
            lanes.setdefault(operation[1], []).append(operation)
        waiting = list(lanes.values())
        while waiting:
            heads = [lane[0] for lane in waiting]
            taken = await self._submit_once(heads)
            for lane in waiting:
                if lane[0][1] in taken:
                    lane.pop(0)
            waiting = [lane for lane in waiting if lane]
            if len(taken) < len(heads):
                await asyncio.sleep(0.05)

    async def watch(self, cursor: str = "") -> dict[str, search_pb2.MutationResult]:
        """Return the job's outcomes by id, resuming whenever the stream breaks."""
        outcomes: dict[str, search_pb2.MutationResult] = {}
        while True:
            try:
                call = self.ingest.WatchIngest(
                    ingest_pb2.WatchIngestRequest(job_id=self.job_id, cursor=cursor)
                )
                async for event in call:
                    cursor = event.cursor
                    outcomes[event.result.id] = event.result
                return outcomes
            except grpc.aio.AioRpcError:
                await asyncio.sleep(0.1)

    async def drained(self, timeout_s: float) -> None:
        """Wait until the queue is empty."""
        async with asyncio.timeout(timeout_s):
            while True:
                with contextlib.suppress(grpc.aio.AioRpcError):
                    status = await self.ingest.GetIngestStatus(
                        ingest_pb2.GetIngestStatusRequest(), timeout=30
                    )
                    if not status.queue_depth:
                        return
                await asyncio.sleep(0.1)

    async def items(self, collection: str = "c") -> dict[str, tuple[bytes, str]]:
        """Return id -> (vector, metadata value) of all that is stored."""
        found: dict[str, tuple[bytes, str]] = {}
        token = ""
        while True:
            page = await self.search.ListItems(
                search_pb2.ListItemsRequest(
                    collection=collection,
                    page_size=1000,
                    page_token=token,
                    fields=search_pb2.ItemFields(metadata=True, vector=True),
                )
            )
            for item in page.items:
                value = item.metadata["value"] if "value" in item.metadata.fields else ""
                found[item.id] = (item.vector_f32_le, str(value))
            token = page.next_page_token
            if not token:
                return found

    async def _submit_once(self, operations: Sequence[tuple[str, str, str]]) -> set[str]:
        taken: set[str] = set()
        call = self.ingest.SubmitImages(_requests(operations, self.job_id))
        try:
            async for answer in call:
                item_id = operations[answer.request_id][1]
                if answer.HasField("accepted"):
                    taken.add(item_id)
                    self.accepted += 1
                    self.versions[item_id] = answer.accepted.version
                elif not answer.error.retryable:
                    raise AssertionError(f"{item_id}: {answer.error.message}")
        except grpc.aio.AioRpcError as error:
            if not isinstance(from_rpc_error(error), Unavailable):
                self.hard_errors.append(f"{error.code()}: {error.details()}")
        return taken


@contextlib.asynccontextmanager
async def caller(address: str) -> AsyncIterator[Caller]:
    """Connect to a search service."""
    channel = aio_channel(address, ChannelOptions(service_config=_RETRY))
    try:
        yield Caller(channel)
    finally:
        await channel.close()


async def _requests(
    operations: Sequence[tuple[str, str, str]], job_id: str
) -> AsyncIterator[ingest_pb2.SubmitImagesRequest]:
    for number, (kind, item_id, value) in enumerate(operations):
        request = ingest_pb2.SubmitImagesRequest(request_id=number, collection="c", job_id=job_id)
        metadata = struct_pb2.Struct()
        metadata["value"] = value
        if kind == "upload":
            request.upload.id, request.upload.image = item_id, value.encode()
            request.upload.metadata.CopyFrom(metadata)
        elif kind == "delete":
            request.delete.id = item_id
        else:
            request.metadata.id = item_id
            request.metadata.metadata.CopyFrom(metadata)
        yield request
