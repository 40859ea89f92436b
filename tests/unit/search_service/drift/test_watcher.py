"""The watcher ends when it is told to, whatever queries come at that moment."""

from __future__ import annotations

import asyncio
import uuid
from pathlib import Path

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from search_service.catalog.catalog import Catalog
from search_service.catalog.shards import Shards
from search_service.domain.collection import CollectionSpec, DuplicateSettings, Preset
from search_service.domain.queries import QueryRequest
from search_service.drift.watcher import DriftWatcher
from search_service.metrics import SearchMetrics
from search_service.presets import index_settings
from search_service.shard.options import ShardOptions

# Enough for the queue to be waited at, and to see each step of a query on its way from there.
_STEPS = 8


@pytest.mark.parametrize("steps", range(_STEPS))
async def test_it_ends_though_a_query_comes_as_it_is_told_to(tmp_path: Path, steps: int) -> None:
    catalog = Catalog(tmp_path, Shards(ShardOptions(ballast_bytes=4096), lambda: None))
    catalog.open()
    collection = catalog.create(
        CollectionSpec(
            uid=uuid.uuid4().hex,
            name="c",
            dimension=3,
            model_fingerprint="",
            index=index_settings(Preset.BALANCED, 3),
            duplicates=DuplicateSettings(),
            create_time_us=1,
        )
    )
    metrics = SearchMetrics(CollectorRegistry())
    watcher = DriftWatcher(catalog, metrics, share=1.0, mean_queries=1e6)
    request = QueryRequest(np.eye(3, dtype=np.float32)[:1], limit=1)
    outcomes = collection.shard.query(request).result(60)
    watcher.offer(collection, request, outcomes, [0])
    # From now on there is something to save.
    assert (await watcher.look(collection)).reference_queries == 1

    running = asyncio.create_task(watcher.run())
    for _ in range(_STEPS):
        await asyncio.sleep(0)
    watcher.offer(collection, request, outcomes, [0])
    for _ in range(steps):
        await asyncio.sleep(0)
    running.cancel()
    ended, _ = await asyncio.wait({running}, timeout=20)

    assert ended == {running}
    assert running.cancelled()
    watcher.close()
    catalog.close()
