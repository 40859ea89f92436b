"""A collection that was built beside appears whole on a cluster."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

from lookalike.wire.errors import AlreadyExists, Unavailable
from lookalike_bulk.blocks import BlockFolder
from lookalike_bulk.building import BuildJob, build_partition
from lookalike_bulk.options import Options
from lookalike_bulk.publishing import check_free, publish_on_cluster
from lookalike_client.settings import ClientSettings
from search_service.domain.items import Fields
from search_service.domain.mutations import Upsert
from search_service.domain.queries import QueryRequest
from tests.integration.cluster.conftest import Cluster, spec_of, units

pytestmark = pytest.mark.timeout(120)

ROWS = units(300, seed=11)


def test_partitions_are_built_published_and_written_to(cluster: Cluster, tmp_path: Path) -> None:
    snapshots = f"file://{cluster.root}/snapshots"
    options = Options(
        uri="",
        collection="built",
        work=tmp_path,
        cluster_log=cluster.valkey.url,
        cluster_snapshots=snapshots,
        partitions=2,
    )
    spec = spec_of("built", 2, 2)
    (tmp_path / "blocks").mkdir()
    blocks = BlockFolder(tmp_path / "blocks")
    for number in range(3):
        rows = range(100 * number, 100 * number + 100)
        blocks.write(number, [Upsert(f"i-{n}", ROWS[n], {"n": n}) for n in rows], [])

    check_free(options, ClientSettings())
    jobs = [BuildJob(tmp_path, spec, part, 3, 1, snapshots, 300) for part in range(2)]
    assert sum(build_partition(job) for job in jobs) == 300
    assert sum(build_partition(job) for job in jobs) == 300  # what is done is not done again
    publish_on_cluster(options, spec, 300)

    deadline_s = time.monotonic() + 30
    while _count(cluster, "built") != 300:
        assert time.monotonic() < deadline_s
        time.sleep(0.1)
    collection = cluster.catalog.find("built")
    (outcome,) = collection.shard.query(QueryRequest(ROWS[7:8], limit=3, exact=True)).result(20)
    assert outcome.hits[0].id == "i-7"
    (item,) = collection.shard.get(["i-7"], Fields(metadata=True))
    assert item is not None
    assert item.metadata == {"n": 7}
    (written,) = collection.shard.submit([Upsert("i-7", ROWS[8])]).result(20)
    assert written.position > 300
    with pytest.raises(AlreadyExists):
        check_free(options, ClientSettings())


def test_a_folder_is_published_once_under_one_uid(cluster: Cluster, tmp_path: Path) -> None:
    snapshots = f"file://{cluster.root}/snapshots"
    (tmp_path / "blocks").mkdir()
    BlockFolder(tmp_path / "blocks").write(0, [Upsert("only", ROWS[0])], [])
    spec = spec_of("once")
    job = BuildJob(tmp_path, spec, 0, 1, 1, snapshots, 1)
    options = Options(
        uri="", collection="once", work=tmp_path, cluster_log=cluster.valkey.url,
        cluster_snapshots=snapshots,
    )  # fmt: skip
    assert build_partition(job) == 1
    publish_on_cluster(options, spec, 1)

    with pytest.raises(AlreadyExists, match='"once"'):
        publish_on_cluster(options, replace(spec, name="twice"), 1)
    deadline_s = time.monotonic() + 30
    while _count(cluster, "once") != 1:
        assert time.monotonic() < deadline_s
        time.sleep(0.1)
    cluster.catalog.delete("once")
    # What it had in shared storage went with it: it is not taken for built.
    assert not job.is_kept()
    assert build_partition(job) == 1
    assert job.is_kept()


def _count(cluster: Cluster, name: str) -> int:
    """Count items; -1 while the front opens the collection."""
    try:
        return cluster.catalog.find(name).shard.count(None)
    except Unavailable:
        return -1
