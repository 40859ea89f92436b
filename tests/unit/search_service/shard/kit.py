"""Shards for tests: small, quick to build, in a directory of their own."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from lookalike.wire.vectors import F32, normalise
from search_service.domain.collection import (
    CollectionSpec,
    Dtype,
    DuplicateSettings,
    IndexSettings,
    Preset,
)
from search_service.domain.mutations import Upsert
from search_service.domain.queries import Hit, QueryRequest
from search_service.segments.api import BuildJob
from search_service.segments.source import DiskSegments
from search_service.shard.opening import SEGMENTS
from search_service.shard.options import ShardOptions
from search_service.shard.shard import STORE, Shard
from search_service.store.vectors import live_ordinals

SMALL = ShardOptions(ballast_bytes=64 << 10, build_retry_s=0.1)
# Nothing is built by itself: all stays as it is.
STILL = replace(
    SMALL, head_limit=10**6, idle_build_vectors=10**6, idle_build_s=10**6, max_dead_share=0.9
)


def make_spec(
    dimension: int = 8,
    duplicates: DuplicateSettings | None = None,
    graph_dimension: int = 0,
) -> CollectionSpec:
    """A collection of `dimension`, with a small graph."""
    return CollectionSpec(
        uid="uid-1",
        name="photos",
        dimension=dimension,
        model_fingerprint="model-1",
        index=IndexSettings(Preset.BALANCED, Dtype.F32, 16, 64, 64, graph_dimension),
        duplicates=duplicates or DuplicateSettings(),
        create_time_us=1,
    )


def never() -> None:
    """An `on_fatal` that must not be called."""
    raise AssertionError("the shard failed")


def create(
    directory: Path,
    spec: CollectionSpec | None = None,
    options: ShardOptions = SMALL,
    on_fatal: Callable[[], None] = never,
) -> Shard:
    """Make a shard."""
    return Shard.create(directory, spec or make_spec(), options, on_fatal)


def reopen(
    directory: Path, options: ShardOptions = SMALL, on_fatal: Callable[[], None] = never
) -> Shard:
    """Open a shard that is there."""
    return Shard.open(directory, options, on_fatal)


def unit(*values: float) -> F32:
    """A unit vector in this direction."""
    return normalise(np.asarray(values, dtype=np.float32), field="v")


def random_units(count: int, dimension: int, seed: int = 0) -> F32:
    """float32 [count, dimension], unit L2, clustered so that neighbours mean something."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(max(1, count // 20), dimension))
    points = centres[rng.integers(len(centres), size=count)]
    points = points + 0.5 * rng.normal(size=points.shape)
    return np.stack([normalise(point.astype(np.float32), field="v") for point in points])


def fill(shard: Shard, vectors: F32, first: int = 0) -> None:
    """Store `vectors` as item-0, item-1, …, with their number as metadata."""
    futures = [
        shard.submit(
            [
                Upsert(f"item-{first + row}", vectors[row], {"number": first + row})
                for row in range(start, min(start + 500, len(vectors)))
            ]
        )
        for start in range(0, len(vectors), 500)
    ]
    for future in futures:
        assert all(outcome.error is None for outcome in future.result(60))


def seal(shard: Shard, directory: Path, options: ShardOptions = SMALL) -> Shard:
    """Seal the head without a graph, as is done beside a long build; return it opened again."""
    spec = shard.spec
    shard.close()
    newest = int(live_ordinals(directory / STORE, 10**9)[-1])
    source = DiskSegments(
        directory / SEGMENTS,
        uid=spec.uid,
        dimension=spec.dimension,
        fingerprint=spec.model_fingerprint,
        nice=0,
    )
    job = BuildJob(
        store_path=directory / STORE,
        segments_path=directory / SEGMENTS,
        uid=spec.uid,
        dimension=spec.dimension,
        fingerprint=spec.model_fingerprint,
        settings=spec.index,
        upto_ordinal=newest,
        threads=1,
        seal_only=True,
    )
    source.build(job).result(60)
    source.close()
    return reopen(directory, options)


def search(shard: Shard, vector: F32, **options: object) -> list[Hit]:
    """The hits of one query."""
    request = QueryRequest(vector[None, :], **options)  # type: ignore[arg-type] # passed on
    return list(shard.query(request).result(60)[0].hits)


def wait_until(condition: Callable[[], bool], timeout_s: float = 60.0) -> None:
    """Wait for something that happens in the background."""
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


def build(shard: Shard) -> None:
    """Have everything indexed."""
    before = shard.stats().builds
    shard.build_now()
    wait_until(lambda: shard.stats().builds > before and not shard.stats().building, 180.0)
