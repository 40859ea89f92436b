"""A collection moves to another model while it is written; both hold what a dictionary says."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import grpc
import pytest

from lookalike.v1 import collection_pb2, errors_pb2, ingest_pb2, search_pb2
from lookalike_client.cli import main
from tests.integration.ingest.caller import caller
from tests.integration.ingest.embedder_stub import MODELS, vector_of
from tests.integration.ingest.pairing import (
    check_vectors_are_told,
    set_alias,
    settled,
    upsert,
    written,
)
from tests.integration.ingest.system import Program, System
from tests.integration.ingest.writing import Writer, item_id

OLD, NEW, ALIAS = "old", "old.2", "photos"
Run: TypeAlias = Callable[..., Any]


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    directory = tmp_path_factory.mktemp("reembedding")
    system = System(directory, embedder_options=("--models", "stub,second"))
    try:
        system.start()
        yield system
    finally:
        system.stop()


@pytest.fixture
def reembed(system: System, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command on a thread; returns what it printed, and checks how it ended."""

    async def run(*arguments: str | Path, code: int = 0) -> Any:
        capsys.readouterr()
        line = ["--address", system.search_address, "reembed", *map(str, arguments), "--json"]
        ended = await asyncio.to_thread(main.run, line)
        out, err = capsys.readouterr()
        assert ended == code, out + err
        return json.loads(out)

    return run


async def test_nothing_is_lost_or_mixed_under_a_writer_through_all_of_it(
    system: System, reembed: Run, tmp_path: Path
) -> None:
    async with caller(system.search_address) as one:
        writer = await written(one, OLD, tmp_path, 60)
        await set_alias(one, ALIAS, OLD)
        writer.collection = ALIAS
        begin = ("start", ALIAS, "--model", "second", "--images", tmp_path)
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(writer.run(stop))
            try:
                begun = await reembed(*begin)
                assert (begun["source"], begun["target"]) == (OLD, NEW)
                assert begun["queued_now"] > 0
                await asyncio.to_thread(system.search.kill)
                await asyncio.to_thread(system.search.start)
                await reembed(*begin)
                compared = await reembed("compare", ALIAS, "--sample", "20", "--label", "value")
                assert compared["queries"] > 0
                assert compared["target_precision"] is not None
                assert (await reembed("switch", ALIAS, "--allow-missing"))["leads_to"] == NEW
                await asyncio.sleep(0.2)
                await asyncio.to_thread(system.worker.kill)
                await asyncio.to_thread(system.worker.start)
                assert (await reembed("rollback", ALIAS, "--allow-missing"))["leads_to"] == OLD
                await asyncio.sleep(0.2)
                assert (await reembed("switch", ALIAS, "--allow-missing"))["leads_to"] == NEW
                await asyncio.sleep(0.2)
            finally:
                stop.set()
        await one.drained(30)
        await settled(one, NEW)
        assert writer.changes > 50
        for name, model in ((OLD, "stub"), (NEW, "second")):
            found = await one.items(name)
            assert {id: value for id, (_, value) in found.items()} == {
                id: value for id, (_, value) in writer.state.items()
            }, name
            assert {id: vector for id, (vector, _) in found.items()} == {
                id: vector_of(picture, model) for id, (picture, _) in writer.state.items()
            }, name
        # A collection that is still needed is not removed.
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await one.collections.DeleteCollection(collection_pb2.DeleteCollectionRequest(name=OLD))
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        ended = await reembed("finish", ALIAS, "--yes")
        assert (ended["collection"], ended["deleted"]) == (NEW, OLD)
        assert ended["deleted_items"] == len(writer.state)
        assert (await reembed("finish", ALIAS, "--yes"))["deleted"] is None
        # What is written from then on is of one collection, past all versions so far.
        await writer.upload("alone.jpg", "last")
        await one.drained(30)
        assert set(await one.items(NEW)) == set(writer.state)


async def test_each_step_says_what_is_wrong_and_what_to_do(
    system: System, reembed: Run, tmp_path: Path
) -> None:
    async with caller(system.search_address) as one:
        await written(one, "own", tmp_path, 3)
        begin = ("start", "own", "--model", "second", "--images", tmp_path)
        same = await reembed("start", "own", "--model", "stub", "--images", tmp_path, code=1)
        assert "that very model" in same["error"]["message"]
        await one.create("own.2")  # of the same model, and somebody else's
        await reembed("start", "own", "--model", "stub", "--images", tmp_path, code=1)
        await one.collections.DeleteCollection(collection_pb2.DeleteCollectionRequest(name="own.2"))
        (tmp_path / item_id(0)).rename(tmp_path / "moved.jpg")
        (tmp_path / item_id(1)).unlink()
        begun = await reembed(*begin)
        # One is found by what is in it, one is nowhere, and one lies where it lay.
        assert (begun["queued_now"], begun["without_file"]) == (2, [item_id(1)])
        assert (begun["target_missing"], begun["leads_to"]) == (1, "own.1")
        assert "again" in begun["next"]
        refused = await reembed("switch", "own", code=1)
        assert "lacks the pictures of 1 item" in refused["error"]["message"]
        early = await reembed("finish", "own", "--yes", code=1)
        assert "switch first" in early["error"]["message"]
        (tmp_path / item_id(1)).write_bytes(b"another")
        assert (await reembed(*begin))["without_file"] == [item_id(1)]
        changed = await reembed(*begin, "--accept-changed")
        assert (changed["queued_now"], changed["target_missing"]) == (1, 0)
        await reembed("switch", "own")
        assert "rollback" in (await reembed("status", "own"))["next"]
        late = await reembed("abort", "own", "--yes", code=1)
        assert "go back first" in late["error"]["message"]
        await reembed("rollback", "own")
        aborted = await reembed("abort", "own", "--yes")
        assert (aborted["collection"], aborted["deleted"]) == ("own.1", "own.2")
        assert set(await one.items("own")) == {item_id(number) for number in range(3)}


async def test_no_deletion_ends_with_the_collection_that_it_was_sent_to(
    system: System, reembed: Run, tmp_path: Path
) -> None:
    async with caller(system.search_address) as one:
        writer = await written(one, "before", tmp_path, 2)
        await reembed("start", "before", "--model", "second", "--images", tmp_path)
        await asyncio.to_thread(system.worker.terminate)
        try:
            await writer.queue(delete=ingest_pb2.ImageDelete(id=item_id(0)))
            await reembed("switch", "before")
            early = await reembed("finish", "before", "--yes", code=1)
            assert "on their way" in early["error"]["message"]
        finally:
            await asyncio.to_thread(system.worker.start)
        await one.drained(30)
        await asyncio.to_thread(system.worker.terminate)
        try:
            await writer.upload("late.jpg", "late")
            await reembed("finish", "before", "--yes")
        finally:
            await asyncio.to_thread(system.worker.start)
        await one.drained(30)
        assert set(await one.items("before")) == {item_id(1), "late.jpg"}
        failures = await one.ingest.ListFailures(ingest_pb2.ListFailuresRequest())
        assert "late.jpg" not in [each.id for each in failures.failures]


async def test_items_without_a_picture_are_not_given_up_unasked(
    system: System, reembed: Run, tmp_path: Path
) -> None:
    async with caller(system.search_address) as one:
        await written(one, "whole", tmp_path, 2)
        (tmp_path / item_id(0)).unlink()
        bad = search_pb2.VectorUpsert(id="bad.jpg", vector_f32_le=vector_of(b"bad"))
        bad.model_fingerprint = MODELS["stub"]
        await upsert(one, "whole", bad)  # whose file the embedder refuses
        (tmp_path / "bad").mkdir()
        (tmp_path / "bad" / "bad.jpg").write_bytes(b"poison")
        begin = ("start", "whole", "--model", "second", "--images", tmp_path)
        for tries in (1, 2):
            begun = await reembed(*begin, "--images", tmp_path / "bad")
            assert (begun["queued_now"], begun["without_file"]) == (3 - tries, [item_id(0)])
            told = await reembed("status", "whole")
            assert told["not_sent"] == [item_id(0)]
            assert {id: each["tries"] for id, each in told["failed"].items()} == {"bad.jpg": tries}
        assert "--allow-missing" in told["next"]
        assert (await reembed("compare", "whole"))["target_missing"] == 2
        refused = await reembed("switch", "whole", code=1)
        assert "--allow-missing" in refused["error"]["message"]
        await reembed("switch", "whole", "--allow-missing")
        refused = await reembed("finish", "whole", "--yes", code=1)
        assert "given up" in refused["error"]["message"]
        ended = await reembed("finish", "whole", "--yes", "--allow-missing")
        assert ended["deleted_items"] == 3
        assert set(await one.items("whole")) == {item_id(1)}


async def test_a_damaged_old_collection_is_told_and_deleted(
    system: System, reembed: Run, tmp_path: Path
) -> None:
    async with caller(system.search_address) as one:
        await written(one, "harmed", tmp_path, 2)
        begun = await reembed("start", "harmed", "--model", "second", "--images", tmp_path)
        request = collection_pb2.GetCollectionRequest(collection=begun["source"])
        uid = (await one.collections.GetCollection(request)).collection.uid
        await asyncio.to_thread(system.search.terminate)
        (store,) = tmp_path.parent.glob(f"**/collections/{uid}/store.db")
        store.write_bytes(b"damaged")
        await asyncio.to_thread(system.search.start)
        told = await reembed("status", "harmed")
        assert "could not be opened" in told["source_damage"]
        assert "switch harmed --allow-missing" in told["next"]
        for wrong in (["compare"], ["switch"], ["rollback"], ["abort", "--yes"]):
            await reembed(*wrong, "harmed", code=1)
        await reembed("switch", "harmed", "--allow-missing")
        early = await reembed("finish", "harmed", "--yes", code=1)
        assert "finish harmed --allow-missing" in early["error"]["message"]
        ended = await reembed("finish", "harmed", "--yes", "--allow-missing")
        assert (ended["deleted"], ended["collection"]) == (begun["source"], begun["target"])
        assert len(await one.items("harmed")) == 2


async def test_all_pictures_of_an_item_are_moved_or_none(
    system: System, reembed: Run, tmp_path: Path
) -> None:
    async with caller(system.search_address) as one:
        writer = await written(one, "several", tmp_path, 1)
        names = ("front.jpg", "back.jpg", "side.jpg")
        for name in names:
            (tmp_path / name).write_bytes(name.encode())
        further = [ingest_pb2.ImageSource(image=name.encode()) for name in names[1:]]
        cup = ingest_pb2.ImageUpload(id="cup", image=names[0].encode(), further_images=further)
        await writer.queue(upload=cup)
        await one.drained(30)
        begin = ("start", "several", "--model", "second", "--images", tmp_path)
        begun = await reembed(*begin)
        assert (begun["queued_now"], begun["target_missing"]) == (1, 1)
        assert "has 3 pictures" in begun["refused"]["cup"]
        table = tmp_path / "table.csv"
        table.write_text("file,product\n" + "".join(f"{name},cup\n" for name in names))
        begun = await reembed(*begin, "--metadata-csv", table, "--item-column", "product")
        assert (begun["queued_now"], begun["target_missing"]) == (1, 0)
        asked = search_pb2.GetItemsRequest(collection=begun["target"], ids=["cup"])
        asked.fields.vector = True
        found = await one.search.GetItems(asked)
        item = found.items[0]
        assert [item.vector_f32_le, *(each.vector_f32_le for each in item.vectors)] == [
            vector_of(name.encode(), "second") for name in names
        ]


async def test_a_picture_that_came_as_a_vector_is_told_as_missing(system: System) -> None:
    async with caller(system.search_address) as one:
        await one.create("plain")
        await check_vectors_are_told(one, "plain", "next")


async def test_an_embedder_of_another_model_mixes_nothing_and_says_what_is_missing(
    system: System, tmp_path: Path
) -> None:
    """The images that wait are listed as failures, and stored once their model is back."""
    async with caller(system.search_address) as one:
        await one.create("kept")
        writer = Writer(one, 1, "kept", tmp_path)
        await asyncio.to_thread(system.worker.terminate)
        for number in range(5):
            await writer.upload(item_id(number), f"waiting-{number}")
        await asyncio.to_thread(system.embedder.terminate)
        port = system.embedder_address.rsplit(":", 1)[1]
        stub = ["tests.integration.ingest.embedder_stub", "--models", "second", "--port", port]
        other = Program(tmp_path, "embedder", stub)
        try:
            await asyncio.to_thread(other.start)
            await asyncio.to_thread(system.worker.start)
            await one.drained(30)
        finally:
            await asyncio.to_thread(other.terminate)
            await asyncio.to_thread(system.embedder.start)
        assert await one.items("kept") == {}
        listed = await one.ingest.ListFailures(ingest_pb2.ListFailuresRequest(collection="kept"))
        assert {each.id for each in listed.failures} == set(writer.state)
        assert {each.error.reason for each in listed.failures} == {
            errors_pb2.ERROR_REASON_MODEL_NOT_FOUND
        }
        ids = [each.failure_id for each in listed.failures]
        await one.ingest.RetryFailures(ingest_pb2.RetryFailuresRequest(failure_ids=ids))
        await one.drained(30)
        found = await one.items("kept")
        assert {id: vector for id, (vector, _) in found.items()} == {
            id: vector_of(picture) for id, (picture, _) in writer.state.items()
        }
