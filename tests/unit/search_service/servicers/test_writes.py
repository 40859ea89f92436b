"""Long messages of mutations beside other calls."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import Future
from pathlib import Path

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from lookalike.v1 import search_pb2 as pb
from search_service.access.gate import Gate
from search_service.catalog.catalog import Catalog
from search_service.domain.collection import CollectionSpec
from search_service.domain.mutations import Mutation, MutationOutcome
from search_service.metrics import SearchMetrics
from search_service.servicers.writes import Results, Writes
from search_service.shard.shard import Shard
from tests.unit.search_service.shard.kit import STILL, make_spec, never

MANY = 1_000
VECTOR = np.eye(8, dtype="<f4")[0].tobytes()


class Noting(Shard):
    """A shard that notes how often others had run when mutations reached it."""

    turns: Callable[[], int]
    noted: list[int]

    def submit(self, mutations: Sequence[Mutation]) -> Future[list[MutationOutcome]]:
        self.noted.append(self.turns())
        return super().submit(mutations)


class NotingShards:
    """Makes such shards."""

    def create(self, directory: Path, spec: CollectionSpec) -> Shard:
        return Noting.create(directory, spec, STILL, never)

    def open(self, directory: Path) -> Shard:
        return Noting.open(directory, STILL, never)


async def upsert(writes: Writes) -> Results:
    async def requests() -> AsyncIterator[pb.UpsertVectorsRequest]:
        items = [
            pb.VectorUpsert(id=f"i{n}", vector_f32_le=VECTOR, model_fingerprint="model-1")
            for n in range(MANY)
        ]
        yield pb.UpsertVectorsRequest(collection="photos", items=items)

    return [
        result async for answer in writes.upsert_stream(requests()) for result in answer.results
    ]


async def update(writes: Writes) -> Results:
    updates = [pb.MetadataUpdate(id=f"i{n}") for n in range(MANY)]
    return await writes.update_metadata(
        pb.UpdateMetadataRequest(collection="photos", updates=updates)
    )


async def delete(writes: Writes) -> Results:
    items = [pb.ItemDelete(id=f"i{n}") for n in range(MANY)]
    return await writes.delete(pb.DeleteItemsRequest(collection="photos", items=items))


@pytest.mark.parametrize("call", [upsert, update, delete])
async def test_others_get_turns_while_a_long_message_is_read(
    tmp_path: Path, call: Callable[[Writes], Awaitable[Results]]
) -> None:
    catalog = Catalog(tmp_path, NotingShards())
    catalog.open()
    shard = catalog.create(make_spec()).shard
    assert isinstance(shard, Noting)
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    other = asyncio.create_task(others())
    shard.noted, shard.turns = [], lambda: turns
    before = turns

    results = await call(Writes(Gate(catalog, asks_keys=False), SearchMetrics(CollectorRegistry())))

    other.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await other
    catalog.close()
    assert [result.id for result in results] == [f"i{n}" for n in range(MANY)]
    assert len(shard.noted) == 1
    assert shard.noted[0] - before >= MANY // 100 - 1
