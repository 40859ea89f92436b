"""What was queued for a collection before it was moved is queued for the new one, in time."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from lookalike.serving.queue.entries import Kind, QueuedMutation
from lookalike.v1.collection_pb2 import DUPLICATE_POLICY_REJECT
from lookalike.wire.errors import Exhausted
from search_service.domain.mutations import Delete, Upsert
from search_service.reembedding import reembeddings
from search_service.reembedding.backlog import Backlog
from tests.unit.search_service.reembedding.rig import SOURCE, TARGET, Queue, Rig
from tests.unit.search_service.shard.kit import random_units


def image(version: int, **fields: object) -> QueuedMutation:
    said = {"collection_uid": SOURCE, "id": f"item-{version:03}", "kind": Kind.UPLOAD, **fields}
    return QueuedMutation(**{**said, "version": version, "submit_time_ms": 0})  # type: ignore[arg-type]


def queued(*mutations: QueuedMutation) -> Queue:
    return Queue({(each.collection_uid, each.version): each for each in mutations})


def backlog_of(rig: Rig) -> Backlog:
    return Backlog(rig.pairs, rig.reembeddings._copies)


async def test_all_that_is_queued_for_the_source_is_queued_for_the_target(tmp_path: Path) -> None:
    images = [image(version, further_images=(b"side",)) for version in range(1, 201)]
    rejected = image(201, duplicate_policy=DUPLICATE_POLICY_REJECT)
    rig = Rig(tmp_path, queued(*images, rejected, image(202, kind=Kind.DELETE)))
    rig.create()
    rows = random_units(2, 8)
    new = rig.catalog.find("new").shard
    told = await rig.reembeddings.start("old", "new")
    assert rig.queue.images(TARGET) == {each.version: each.id for each in images}
    assert rig.queue.queued[TARGET, 7].further_images == (b"side",)
    assert told.source_only_queued == 1
    # What the target had meanwhile is not queued again.
    for version in (3, 4, 5):
        del rig.queue.queued[TARGET, version]
    new.submit([Upsert("item-003", rows[0], version=3), Delete("item-004", version=9)]).result()
    await rig.reembeddings.start("old", "new")
    assert {3, 4, 5} & rig.queue.images(TARGET).keys() == {5}
    rig.catalog.close()


async def test_a_full_queue_holds_neither_a_start_nor_an_end_up(tmp_path: Path) -> None:
    """The start goes on where it was, as far as there is room; pairs end meanwhile."""
    rig = Rig(tmp_path, queued(*map(image, range(1, 101))))
    rig.create()
    rig.pairs.begin(rig.catalog.find("old"), rig.catalog.find("new"))
    rig.queue.room = 10
    backlog = backlog_of(rig)
    source, target = rig.catalog.find("old"), rig.catalog.find("new")
    await backlog.copy(source, target, within_s=0.3)
    assert len(rig.queue.images(TARGET)) == 10
    assert rig.queue.full
    assert len(backlog.left(source, target)) == 90
    rig.queue.room = 1_000
    await backlog.copy(source, target, within_s=60.0)
    assert len(rig.queue.images(TARGET)) == 100

    # With no room the start would last long: the end of the pair does not wait for it.
    rig.queue.queued = queued(*map(image, range(101, 201))).queued
    rig.queue.room = 0
    start = asyncio.create_task(rig.reembeddings.start("old", "new"))
    before = rig.queue.full
    while rig.queue.full == before:
        await asyncio.sleep(0.01)
    async with asyncio.timeout(reembeddings._COPY_WITHIN_S / 2):
        await rig.reembeddings.end("old")
        with pytest.raises(Exception, match="not being embedded anew"):
            await start
    rig.catalog.close()


async def test_a_second_start_leaves_the_queueing_to_the_first(tmp_path: Path) -> None:
    rig = Rig(tmp_path, queued(*map(image, range(1, 51))))
    rig.create()
    told = await asyncio.gather(*(rig.reembeddings.start("old", "new") for _ in range(3)))
    assert [each.target for each in told] == ["new"] * 3
    assert len(rig.queue.images(TARGET)) == 50
    assert rig.queue.room == Queue().room - 50
    rig.catalog.close()


async def test_a_queue_that_is_away_is_told(tmp_path: Path) -> None:
    class Away(Queue):
        async def image_of(self, row: object) -> QueuedMutation | None:
            raise Exhausted("away")

    rig = Rig(tmp_path, Away(queued(image(1)).queued))
    rig.create()
    with pytest.raises(Exhausted, match="away"):
        await rig.reembeddings.start("old", "new")
    assert len(rig.pairs.all()) == 1
    rig.catalog.close()
