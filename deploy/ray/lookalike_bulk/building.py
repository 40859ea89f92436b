"""Builds a partition from the finished blocks: a shard with its graph, then a snapshot of it."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from lookalike.wire.errors import LookalikeError, Reason
from lookalike_bulk.blocks import BlockFolder
from search_service.catalog.shards import Shards
from search_service.cluster.layout import partition_of
from search_service.cluster.storage import SnapshotStorage
from search_service.domain.collection import CollectionSpec
from search_service.domain.mutations import Upsert
from search_service.durable_files import write_durably
from search_service.shard.options import ShardOptions
from search_service.shard.shard import Shard
from search_service.snapshots.archive import pack
from search_service.snapshots.pace import Pace
from search_service.snapshots.taking import take

_BATCH = 2_000
_LOOK_S = 0.2
_BYTES_PER_S = 4 << 30


@dataclass(frozen=True, slots=True)
class BuildJob:
    """One partition; with `storage` its snapshot goes there as of `position`, else it becomes
    an archive in the work folder."""

    work: Path
    spec: CollectionSpec
    partition: int
    blocks: int
    threads: int
    storage: str = ""
    position: int = 0

    @property
    def folder(self) -> Path:
        """Where the shard is built."""
        return self.work / f"partition-{self.partition}"

    @property
    def archive(self) -> Path:
        """The snapshot's archive, of a build for one machine."""
        return self.work / f"partition-{self.partition}.tar"

    @property
    def mark(self) -> Path:
        """What is there once the partition is built and kept."""
        return self.work / f"partition-{self.partition}.{self.spec.uid}.done"

    def is_kept(self) -> bool:
        """Say whether what was built is still there: a collection may have been deleted since.

        Raises:
            Unavailable: the storage cannot be reached.
        """
        if not self.storage:
            return self.archive.exists()
        return SnapshotStorage(self.storage, self.spec.uid).newest(self.partition) is not None


def build_partition(job: BuildJob) -> int:
    """Build a partition unless that was done; return its items.

    Raises:
        LookalikeError: an item is refused, or a graph cannot be built.
    """
    if job.mark.exists() and job.is_kept():
        return int(job.mark.read_text())
    shutil.rmtree(job.folder, ignore_errors=True)
    source, captured = job.folder / "shard", job.folder / "snapshot"
    source.mkdir(parents=True)
    captured.mkdir()
    options = ShardOptions(
        threads=job.threads,
        build_threads=job.threads,
        # Nobody searches: vectors may wait for the one build at the end.
        head_limit=1 << 40,
        unindexed_limit=1 << 41,
        check_bytes_per_s=0,
    )
    # The partition's shard is one, whatever the collection is.
    own = replace(job.spec, partitions=1, replicas=1)
    shard = Shards(options, lambda: None).create(source, own)
    try:
        items = _fill(shard, job)
        _build(shard)
    finally:
        shard.close()
    pace = Pace(_BYTES_PER_S, threading.Event())
    manifest = take(job.spec, source, captured, pace, lambda _: None)
    if job.storage:
        storage = SnapshotStorage(job.storage, job.spec.uid)
        storage.put(job.partition, job.position, captured, manifest)
    else:
        write_durably(job.archive, pack(captured, manifest))
    shutil.rmtree(job.folder)
    write_durably(job.mark, [str(items).encode()])
    return items


def _fill(shard: Shard, job: BuildJob) -> int:
    batch: list[Upsert] = []
    for item in _items(job):
        batch.append(item)
        if len(batch) == _BATCH:
            _store(shard, batch)
            batch = []
    _store(shard, batch)
    return shard.count(None)


def _items(job: BuildJob) -> Iterator[Upsert]:
    folder = BlockFolder(job.work / "blocks")
    for number in range(job.blocks):
        for item in folder.items(number):
            if partition_of(item.id, job.spec.partitions) == job.partition:
                yield item


def _store(shard: Shard, batch: list[Upsert]) -> None:
    if not batch:
        return
    for outcome in shard.submit(batch).result():
        if outcome.error is not None:
            raise outcome.error


def _build(shard: Shard) -> None:
    """Have one graph of everything, as far as the shard makes one."""
    while (stats := shard.stats()).unindexed_vectors and stats.items >= _LEAST_FOR_GRAPH:
        if stats.last_build_error:
            raise LookalikeError(
                f"the graph cannot be built: {stats.last_build_error}", reason=Reason.INTERNAL
            )
        shard.build_now()
        time.sleep(_LOOK_S)


# Below it an exact scan is as quick: a shard left alone would build no graph either.
_LEAST_FOR_GRAPH = ShardOptions().idle_build_vectors
