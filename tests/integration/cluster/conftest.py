"""A cluster in this process and, beside it, one shard with the same items."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from search_service.catalog.shards import Shards
from search_service.cluster.catalog import ClusterCatalog
from search_service.cluster.status import PartitionStatus
from search_service.domain.arrays import F32
from search_service.domain.collection import CollectionSpec, DuplicateSettings, Preset
from search_service.domain.metadata import JsonValue
from search_service.domain.mutations import Delete, Mutation, Upsert
from search_service.presets import index_settings
from search_service.shard.api import ShardApi
from search_service.shard.shard import Shard
from tests.integration.cluster.local import OPTIONS, LocalPlacing, LocalReplica, cluster_settings
from tests.integration.ingest.valkey import Valkey

DIMENSION = 24


def spec_of(name: str, partitions: int = 1, replicas: int = 1) -> CollectionSpec:
    """Return the spec of a collection of the caller's vectors."""
    return CollectionSpec(
        uid=(name.encode().hex() + "0" * 32)[:32],
        name=name,
        dimension=DIMENSION,
        model_fingerprint="",
        index=index_settings(Preset.BALANCED, DIMENSION),
        duplicates=DuplicateSettings(),
        create_time_us=1,
        partitions=partitions,
        replicas=replicas,
    )


def units(count: int, seed: int) -> F32:
    """Return random unit vectors, float32 [count, DIMENSION]."""
    rows = np.random.default_rng(seed).standard_normal((count, DIMENSION)).astype(np.float32)
    unit: F32 = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit


def items(count: int, seed: int = 1) -> list[Mutation]:
    """Return items with metadata of several kinds, and a few of them deleted again."""
    made: list[Mutation] = [
        Upsert(f"item-{n:04d}", vector, _metadata(n)) for n, vector in enumerate(units(count, seed))
    ]
    return [*made, *(Delete(f"item-{n:04d}") for n in range(0, count, 50))]


def _metadata(n: int) -> dict[str, JsonValue]:
    rare: dict[str, JsonValue] = {"rare": n % 8 == 0} if n % 4 == 0 else {}
    return {"n": float(n), "kind": f"k{n % 7}", "tags": [f"t{n % 3}", f"t{n % 5}"], **rare}


@dataclass
class Cluster:
    """A front with its placing and log."""

    catalog: ClusterCatalog
    placing: LocalPlacing
    valkey: Valkey
    root: Path

    def create(self, name: str, partitions: int = 3, replicas: int = 2) -> ShardApi:
        """Create a collection."""
        return self.catalog.create(spec_of(name, partitions, replicas)).shard

    def replicas(self, name: str) -> list[list[LocalReplica]]:
        """Return the replicas of each partition."""
        return self.placing.replicas[spec_of(name).uid]

    def status(self, name: str) -> list[PartitionStatus]:
        """Say how they are."""
        return self.catalog.describe(name)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One for each module."""
    root = tmp_path_factory.mktemp("cluster")
    valkey = Valkey(root)
    valkey.start()
    settings = cluster_settings(valkey.port, root)
    placing = LocalPlacing(settings)
    catalog = ClusterCatalog(root / "front", settings, OPTIONS, placing)
    catalog.open()
    yield Cluster(catalog, placing, valkey, root)
    catalog.close()
    placing.stop()
    valkey.kill()


@pytest.fixture(scope="module")
def one_shard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shard]:
    """A collection on one machine."""
    directory = tmp_path_factory.mktemp("one") / "shard"
    directory.mkdir()
    shard = Shards(OPTIONS, lambda: None).create(directory, spec_of("one"))
    yield shard
    shard.close()
