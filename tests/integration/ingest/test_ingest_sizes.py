"""The limit on the bytes of an image is one and the same from the client to the embedder;
what is larger goes by reference; and the queue's own bound holds its server's memory."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from redis.asyncio import Redis

from embedder_service.settings import Settings as EmbedderSettings
from lookalike.wire.channel import MAX_IMAGE_BYTES, MAX_MESSAGE_BYTES
from lookalike.wire.errors import Exhausted, ImageTooLarge, LimitExceeded, ReferenceInvalid
from lookalike_client import Client, Fields, ImageItem, Query
from search_service.ingest.settings import IngestSettings, ReferenceSettings
from tests.integration.ingest.rig import front_door, submission
from tests.integration.ingest.system import System
from tests.integration.ingest.valkey import Valkey

MIB = 1 << 20
# More than a message holds.
LARGE = 70 * MIB


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("images")


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory, folder: Path) -> Iterator[System]:
    options = ("--image-roots", str(folder), "--max-reference-bytes", str(80 * MIB))
    system = System(tmp_path_factory.mktemp("system"), search_options=options)
    try:
        system.start()
        yield system
    finally:
        system.stop()


def sized(folder: Path, name: str, size_bytes: int) -> Path:
    path = folder / name
    with path.open("wb") as handle:
        handle.write(name.encode())
        handle.truncate(size_bytes)
    return path


def test_the_limits_along_the_way_are_one() -> None:
    front_door_limit = IngestSettings(redis="redis://h").max_image_bytes
    embedder_limit = EmbedderSettings.__dataclass_fields__["max_image_bytes"].default

    assert front_door_limit == embedder_limit == MAX_IMAGE_BYTES
    assert ReferenceSettings().max_reference_bytes == MAX_IMAGE_BYTES
    assert MAX_IMAGE_BYTES + 3 * MIB < MAX_MESSAGE_BYTES


def test_the_largest_image_passes_and_one_byte_more_is_refused_with_what_to_do(
    system: System, folder: Path
) -> None:
    whole = sized(folder, "whole.png", MAX_IMAGE_BYTES)
    above = sized(folder, "above.png", MAX_IMAGE_BYTES + 1)
    with Client(system.search_address, timeout_s=60) as client:
        client.collections.create("sizes")
        items = [ImageItem("whole", whole, metadata={"text": "x" * 10_000}), ImageItem("a", above)]
        accepted = {each.id: each for each in client.submit_images("sizes", items, job_id="s")}
        ended = [event.result.status.value for event in client.watch_ingest("s")]
        found = client.search("sizes", Query.by_image(whole)).hits

    refused = accepted["a"].error
    assert accepted["whole"].accepted
    assert ended == ["applied"]
    assert [hit.id for hit in found] == ["whole"]
    assert isinstance(refused, LimitExceeded)
    for word in ("62,914,561", "62,914,560", "reference", "image_uri"):
        assert word in refused.message


def test_what_no_message_holds_goes_by_reference(system: System, folder: Path) -> None:
    large = sized(folder, "large.png", LARGE)
    larger = sized(folder, "larger.png", 81 * MIB)
    with Client(system.search_address, timeout_s=60) as client:
        client.collections.create("by-reference")
        items = [
            ImageItem("large", image_uri=large.as_uri()),
            ImageItem("larger", image_uri=larger.as_uri()),
            ImageItem("elsewhere", image_uri="file:///etc/hostname"),
        ]
        accepted = {
            each.id: each for each in client.submit_images("by-reference", items, job_id="r")
        }
        ended = [event.result.status.value for event in client.watch_ingest("r")]
        (item,) = client.list("by-reference", fields=Fields(facts=True))

    assert ended == ["applied"]
    assert item.facts is not None
    assert item.facts.size_bytes == LARGE
    refused, elsewhere = accepted["larger"].error, accepted["elsewhere"].error
    assert isinstance(refused, ImageTooLarge)
    for word in (f"{81 * MIB:,}", f"{80 * MIB:,}", "max_reference_bytes"):
        assert word in refused.message
    assert isinstance(elsewhere, ReferenceInvalid)
    assert "image_roots" in elsewhere.message


async def test_the_front_door_names_limit_value_and_setting(valkey_server: Valkey) -> None:
    async with front_door(valkey_server.url, max_image_bytes=10) as door:
        with pytest.raises(ImageTooLarge, match=named(11, 10, "max_image_bytes")):
            await door.submit(submission("upload", "a", "x" * 11))


def named(value: int, limit: int, setting: str) -> str:
    return f"{value:,} bytes; the limit is {limit:,} .*{re.escape(setting)}"


async def test_the_queues_bound_holds_the_memory_of_its_server(
    valkey_server: Valkey, client: Redis
) -> None:
    """Whatever the size of the images; what is on its way in comes on top."""
    budget, image = 100 * MIB, 30 * MIB
    async with front_door(valkey_server.url, max_queue_bytes=budget) as door:
        before = (await client.info("memory"))["used_memory"]
        upload = replace(submission("upload", "a", ""), image=b"x" * image)
        answers = await asyncio.gather(
            *(door.submit(replace(upload, id=f"id-{number}")) for number in range(8)),
            return_exceptions=True,
        )
        state = await door.state()
        used = (await client.info("memory"))["used_memory"] - before

    refused = [each for each in answers if isinstance(each, Exhausted)]
    assert (len(answers) - len(refused), len(refused)) == (3, 5)
    assert "max_queue_bytes" in refused[0].message
    assert state.queue.counted_bytes <= budget
    assert 3 * image < used < budget + 3 * image
