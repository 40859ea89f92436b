"""An item's pictures are taken together, and are those that it was made of."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lookalike.v1.image_pb2 import ImageFacts
from lookalike.wire.digests import digest_of_files
from lookalike.wire.errors import ImageTooLarge, InvalidField, LookalikeError
from search_service.domain.mutations import Upsert
from search_service.reembedding.offering import Offer
from tests.unit.search_service.reembedding.rig import TARGET, Rig
from tests.unit.search_service.shard.kit import random_units

FRONT, BACK, SIDE = b"front", b"back", b"side"
ROWS = random_units(3, 8)


def facts(*further: bytes) -> bytes:
    sha256 = hashlib.sha256(FRONT).digest()
    return ImageFacts(sha256=sha256, further_sha256=digest_of_files(further)).SerializeToString()


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    """The old collection has an item of one picture, of three, and of three vectors."""
    rig = Rig(tmp_path)
    rig.create()
    await rig.reembeddings.start("old", "new")
    first, *further = ROWS
    items = [
        Upsert("one", first, facts=facts(), version=1),
        Upsert("three", first, facts=facts(BACK, SIDE), version=2, further=tuple(further)),
        Upsert("vectors", first, version=3, further=tuple(further)),
    ]
    rig.catalog.find("old").shard.submit(items).result()
    yield rig
    rig.catalog.close()


async def refused(rig: Rig, *offers: Offer, accept_changed: bool = False) -> list[str]:
    """Offer pictures; return for each what it is refused with, "" where it is queued."""
    outcomes = await rig.reembeddings.offer("new", offers, accept_changed=accept_changed)
    assert all(each.queued is (each.error is None) for each in outcomes)
    return [_text(each.error) for each in outcomes]


def _text(error: LookalikeError | None) -> str:
    return "" if error is None else f"{error.field}: {error.message}"


async def test_what_is_missing_says_how_many_pictures_it_has(rig: Rig) -> None:
    found, _ = await rig.reembeddings.missing("new", "", 10)
    assert {each.id: each.files.pictures for each in found} == {"one": 1, "three": 3, "vectors": 3}
    assert found[1].files.further_sha256 == digest_of_files((BACK, SIDE))


async def test_an_item_goes_in_with_all_its_pictures(rig: Rig) -> None:
    whole = [Offer("one", FRONT), *(Offer(id, FRONT, (BACK, SIDE)) for id in ("three", "vectors"))]
    assert await refused(rig, *whole) == ["", "", ""]
    queued = {each.id: each for each in rig.queue.queued.values()}
    assert queued["three"].further_images == (BACK, SIDE)
    assert (queued["three"].collection_uid, queued["three"].version) == (TARGET, 2)


@pytest.mark.parametrize("accept_changed", [False, True])
async def test_one_with_fewer_pictures_is_never_taken(rig: Rig, accept_changed: bool) -> None:
    fewer = [Offer("three", FRONT), Offer("vectors", FRONT, (BACK,))]
    told = await refused(rig, *fewer, accept_changed=accept_changed)
    assert all("has 3 pictures: send all of them" in each for each in told)
    assert not rig.queue.queued


async def test_other_pictures_are_taken_where_that_is_accepted(rig: Rig) -> None:
    others = [Offer("one", FRONT, (BACK,)), Offer("three", FRONT, (SIDE, BACK))]
    told = await refused(rig, *others)
    assert [each.partition(":")[0] for each in told] == [
        "images[0].further_images",
        "images[1].further_images",
    ]
    assert all("are other files" in each for each in told)
    assert await refused(rig, *others, accept_changed=True) == ["", ""]


async def test_each_picture_is_held_to_the_limits(rig: Rig) -> None:
    empty, large = Offer("three", FRONT, (BACK, b"")), Offer("vectors", FRONT, (BACK, b"x" * 2**21))
    outcomes = await rig.reembeddings.offer("new", [empty, large], accept_changed=True)
    errors = [each.error for each in outcomes]
    assert [type(each) for each in errors] == [InvalidField, ImageTooLarge]
    assert [each.field for each in errors if each is not None] == [
        "images[0].further_images[1]",
        "images[1].further_images[1]",
    ]
    many = Offer("three", FRONT, (BACK,) * 64)
    (told,) = await refused(rig, many, accept_changed=True)
    assert told.startswith("images[0].further_images")
