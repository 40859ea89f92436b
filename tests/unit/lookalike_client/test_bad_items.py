"""One bad item of many fails alone, with its id and key, in every call that takes many."""

import asyncio
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lookalike_client import (
    Acceptance,
    AsyncClient,
    Client,
    DeleteItem,
    ImageItem,
    InvalidField,
    MetadataItem,
    MutationResult,
    MutationStatus,
    VectorItem,
)
from lookalike_client.testing import FakeServer

GOOD = [1.0, 0.5]
ENDLESS: dict[str, Any] = {}
ENDLESS["again"] = [ENDLESS, ENDLESS]
BAD_METADATA: dict[str, Any] = {
    "s": 10**400,
    "n": math.nan,
    "set": {1},
    "b": b"bytes",
    "half": "\ud800",
    "big": 2**53 + 1,
    "endless": ENDLESS,
    "keys": {1: 2},
    "iter": iter([1]),
    "object": object(),
}
NO_OBJECT: Any = [("a", {})]
NOT_TEXT: list[Any] = [7, None, "\ud800"]


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer() as running, Client(running.address) as client:
        client.collections.create("shelf", model=None, dimension=2)
        client.collections.create("photos")
        yield running


def vectors() -> list[Any]:
    """Bad items between good ones."""
    bad: list[Any] = [VectorItem(key, GOOD, {key: each}) for key, each in BAD_METADATA.items()]
    bad += [VectorItem(item_id, GOOD) for item_id in NOT_TEXT]
    bad += [VectorItem("all", GOOD, NO_OBJECT)]
    no_vectors: list[Any] = [[10**400, 1], {1}, None, "ab"]
    bad += [VectorItem(f"v{at}", each) for at, each in enumerate(no_vectors)]
    bad += [VectorItem("facts", GOOD, facts=NO_OBJECT)]
    bad += [VectorItem("model", GOOD, model_fingerprint=NOT_TEXT[0])]
    bad += [("a", GOOD), "a", None]
    return [VectorItem("first", GOOD), *bad, VectorItem("last", GOOD)]


def images() -> list[Any]:
    bad: list[Any] = [ImageItem(key, b"p", {key: each}) for key, each in BAD_METADATA.items()]
    bad += [MetadataItem(key, {key: each}) for key, each in BAD_METADATA.items()]
    bad += [DeleteItem(item_id) for item_id in NOT_TEXT]
    bad += [MetadataItem("all", NO_OBJECT)]
    no_pictures: list[Any] = [7, {1}, "a\0b", Path("none")]
    bad += [ImageItem(f"i{at}", each) for at, each in enumerate(no_pictures)]
    bad += [ImageItem("uri", image_uri="\ud800"), ImageItem("empty", b""), "a", None]
    return [ImageItem("first", b"picture"), *bad, ImageItem("last", bytearray(b"picture"))]


def updates() -> dict[Any, Any]:
    bad: dict[Any, Any] = {key: {key: each} for key, each in BAD_METADATA.items()}
    bad |= {key: {} for key in NOT_TEXT}
    return {"first": {"n": 1}, **bad, "all": None, "last": {"n": 2}}


def check(results: list[MutationResult], count: int) -> None:
    """Every one has its result; those that failed say of which item and key."""
    assert len(results) == count
    stored = {each.id for each in results if each.status is MutationStatus.APPLIED}
    assert stored == {"first", "last"}
    tell(results, 1)


def check_accepted(acceptances: list[Acceptance]) -> None:
    assert len(acceptances) == len(images())
    assert {each.id for each in acceptances if each.accepted} == {"first", "last"}
    tell(acceptances, 2)


def tell(results: Any, times: int) -> None:
    for key in BAD_METADATA:
        errors = [each.error for each in results if each.id == key]
        assert len(errors) == times
        for error in errors:
            assert isinstance(error, InvalidField)
            assert error.message.startswith(f'item "{key}": metadata')
            assert error.message.isprintable()


def test_of_vectors_the_good_are_stored(server: FakeServer) -> None:
    with Client(server.address) as client:
        check(list(client.upsert_vectors("shelf", vectors(), batch_items=3)), len(vectors()))
        assert client.count("shelf") == 2


def test_of_images_the_good_are_accepted(server: FakeServer) -> None:
    with Client(server.address) as client:
        check_accepted(list(client.submit_images("photos", images())))


def test_of_updates_the_good_are_made(server: FakeServer) -> None:
    with Client(server.address) as client:
        list(client.upsert_vectors("shelf", [VectorItem("first", GOOD), VectorItem("last", GOOD)]))

        results = list(client.update_metadata("shelf", updates()))

        check(results, len(updates()))
        assert [each.id for each in results][:3] == ["first", "s", "n"]
        assert {item.id: item.metadata for item in client.list("shelf")} == {
            "first": {"n": 1},
            "last": {"n": 2},
        }


def test_what_is_no_mapping_is_no_update(server: FakeServer) -> None:
    with Client(server.address) as client, pytest.raises(InvalidField, match="must be a mapping"):
        client.update_metadata("shelf", NO_OBJECT)


def test_an_id_that_is_no_text_is_told_by_its_place(server: FakeServer) -> None:
    with Client(server.address) as client:
        for call in (client.delete, client.get):
            with pytest.raises(InvalidField) as refused:
                call("shelf", ["a", "\ud800"])
            assert refused.value.field == "ids[1]"


def test_the_asyncio_client_does_the_same(server: FakeServer) -> None:
    async def all_three() -> None:
        async with AsyncClient(server.address) as client:
            found = [each async for each in client.upsert_vectors("shelf", vectors())]
            check(found, len(vectors()))
            check(list(await client.update_metadata("shelf", updates())), len(updates()))
            check_accepted([each async for each in client.submit_images("photos", images())])

    asyncio.run(all_three())
