"""Segments that come, go, fail and break, while answers stay right."""

from __future__ import annotations

import json
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import numpy as np

from lookalike.wire.vectors import F32
from search_service.domain.mutations import Delete, Upsert
from search_service.domain.queries import PlanKind, QueryRequest
from search_service.segments.api import BuildJob, BuildResult
from search_service.segments.errors import BuildFailed
from search_service.segments.source import DiskSegments
from search_service.shard.opening import SEGMENTS
from search_service.shard.shard import STORE, Shard
from search_service.store import schema
from tests.unit.search_service.shard.kit import (
    SMALL,
    build,
    create,
    fill,
    make_spec,
    never,
    random_units,
    reopen,
    search,
    wait_until,
)

COUNT, DIMENSION = 11_000, 16
VECTORS: F32 = random_units(COUNT + 1_000, DIMENSION, seed=9)


def segment_directories(directory: Path) -> list[Path]:
    named = json.loads((directory / SEGMENTS / "segments.json").read_text())["segments"]
    return [directory / SEGMENTS / name for name in named]


def assert_all_found(shard: Shard, rows: range) -> None:
    outcomes = shard.query(QueryRequest(VECTORS[rows.start : rows.stop], limit=1)).result(120)
    assert [outcome.hits[0].id for outcome in outcomes] == [f"item-{row}" for row in rows]


def test_a_full_head_is_indexed_by_itself_and_given_back(tmp_path: Path) -> None:
    shard = create(tmp_path, make_spec(DIMENSION), replace(SMALL, head_limit=10_500))
    fill(shard, VECTORS[:COUNT])
    wait_until(lambda: shard.stats().graph_vectors > 0 and not shard.stats().building)
    stats = shard.stats()
    assert stats.head_vectors == 0
    assert stats.graph_vectors + stats.side_list_vectors == COUNT
    assert shard.query(QueryRequest(VECTORS[:1])).result(60)[0].plan.kind is PlanKind.GRAPH
    assert_all_found(shard, range(COUNT))
    shard.close()


def test_old_segments_are_removed_once_replaced(tmp_path: Path) -> None:
    shard = create(tmp_path, make_spec(DIMENSION))
    fill(shard, VECTORS[:COUNT])
    build(shard)
    first = segment_directories(tmp_path)
    shard.submit([Delete(f"item-{row}") for row in range(0, COUNT, 2)]).result(60)
    build(shard)
    wait_until(lambda: not any(path.exists() for path in first))
    assert all(path.exists() for path in segment_directories(tmp_path))
    hits = search(shard, VECTORS[1], limit=10)
    assert hits[0].id == "item-1"
    assert all(int(hit.id.split("-")[1]) % 2 for hit in hits)
    shard.close()


def test_a_segment_damaged_on_the_disk_is_left_out_and_rebuilt(tmp_path: Path) -> None:
    shard = create(tmp_path, make_spec(DIMENSION))
    fill(shard, VECTORS[:COUNT])
    build(shard)
    shard.close()
    (segment,) = segment_directories(tmp_path)
    data = bytearray((segment / "graph.usearch").read_bytes())
    data[len(data) // 2] ^= 0x10
    (segment / "graph.usearch").write_bytes(data)
    shard = reopen(tmp_path)
    assert_all_found(shard, range(300))
    wait_until(lambda: shard.stats().graph_vectors > 0)
    assert_all_found(shard, range(300))
    assert not segment.exists()
    shard.close()


def test_rows_damaged_on_the_disk_are_found_in_time(tmp_path: Path) -> None:
    shard = create(tmp_path, make_spec(DIMENSION))
    fill(shard, VECTORS[:COUNT])
    build(shard)
    shard.close()
    (segment,) = segment_directories(tmp_path)
    path = next(segment.glob("rows-*"))
    data = np.fromfile(path, dtype=np.float32)
    data[5 * DIMENSION : 6 * DIMENSION] = 0
    data.tofile(path)
    shard = reopen(tmp_path)
    assert_all_found(shard, range(300))
    wait_until(lambda: shard.stats().builds > 0 and shard.stats().graph_vectors > 0)
    assert_all_found(shard, range(300))
    shard.close()


class FailsAtFirst(DiskSegments):
    """A source whose first builds fail."""

    failures = 2

    def build(self, job: BuildJob) -> Future[BuildResult]:
        if self.failures:
            self.failures -= 1
            raise BuildFailed("no luck")
        return super().build(job)


def test_a_build_that_fails_is_told_and_tried_again(tmp_path: Path) -> None:
    spec = make_spec(DIMENSION)
    schema.create(tmp_path / STORE, spec, "").close()
    source = FailsAtFirst(
        tmp_path / SEGMENTS, uid=spec.uid, dimension=DIMENSION, fingerprint="model-1"
    )
    db = schema.open_writer(tmp_path / STORE, "")
    shard = Shard(tmp_path, db, source, replace(SMALL, build_retry_s=0.5), never)
    fill(shard, VECTORS[:COUNT])
    shard.build_now()
    wait_until(lambda: shard.stats().last_build_error == "no luck")
    assert_all_found(shard, range(100))
    wait_until(lambda: shard.stats().builds == 1)
    assert shard.stats().last_build_error == ""
    assert_all_found(shard, range(100))
    shard.close()


def test_writes_during_a_build_are_seen_at_once_and_after(tmp_path: Path) -> None:
    shard = create(tmp_path, make_spec(DIMENSION))
    fill(shard, VECTORS[:COUNT])
    shard.build_now()
    wait_until(lambda: shard.stats().building or shard.stats().builds > 0)
    for row in range(COUNT, COUNT + 300):
        shard.submit([Upsert(f"item-{row}", VECTORS[row]), Delete(f"item-{row - COUNT}")]).result(
            30
        )
        assert search(shard, VECTORS[row], limit=1)[0].id == f"item-{row}"
    wait_until(lambda: shard.stats().builds > 0)
    assert_all_found(shard, range(COUNT, COUNT + 300))
    gone = {f"item-{row}" for row in range(300)}
    for row in range(0, 300, 10):
        assert not gone & {hit.id for hit in search(shard, VECTORS[row], limit=20)}
    assert shard.count(None) == COUNT
    shard.close()
