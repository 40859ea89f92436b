"""The test kit: what it does besides answering as the real service does."""

import asyncio
import re
import subprocess
import sys
from collections.abc import Iterator
from inspect import getdoc
from pathlib import Path
from textwrap import dedent

import numpy as np
import pytest

from lookalike_client import (
    AsyncClient,
    Client,
    ImageItem,
    LookalikeError,
    MutationStatus,
    Query,
    VectorItem,
    errors,
    testing,
)
from lookalike_client.testing import DIMENSION, FINGERPRINT, FakeServer, vector_of_hash


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer() as started:
        yield started


@pytest.fixture
def client(server: FakeServer) -> Iterator[Client]:
    with Client(server.address) as connected:
        yield connected


def test_equal_bytes_are_alike_and_others_are_not(client: Client) -> None:
    client.collections.create("photos")
    pictures = [bytes([number]) * 50 for number in range(100)]
    items = [ImageItem(f"p{number:02}", image=each) for number, each in enumerate(pictures)]
    assert all(each.accepted for each in client.submit_images("photos", items, job_id="j"))

    for item, result in zip(
        items, client.search_many("photos", list(map(Query.by_image, pictures))), strict=True
    ):
        assert result.hits[0].id == item.id
        assert result.hits[0].score == pytest.approx(1.0)
        assert result.hits[1].score < 0.7
    assert len(list(client.watch_ingest("j"))) == 100


def test_vectors_of_the_model_can_be_stored_beside_images(client: Client) -> None:
    client.collections.create("photos", model=FINGERPRINT, dimension=DIMENSION)
    item = VectorItem("v", vector_of_hash(b"x"), model_fingerprint=FINGERPRINT)

    (stored,) = client.upsert_vectors("photos", [item])

    assert stored.status is MutationStatus.APPLIED
    assert client.search("photos", Query.by_image(b"x")).hits[0].id == "v"


def test_a_program_can_bring_its_own_vectors_and_failures() -> None:
    def embed(image: bytes) -> np.ndarray:
        if image == b"bad":
            raise errors.ImageUnreadable("is no picture")
        return np.array([len(image), 1.0], np.float32)

    with FakeServer(embed=embed, dimension=2) as server, Client(server.address) as client:
        client.collections.create("photos")
        items = [ImageItem("ok", image=b"four"), ImageItem("no", image=b"bad")]
        assert all(each.accepted for each in client.submit_images("photos", items))

        assert [item.id for item in client.list("photos")] == ["ok"]
        (failure,) = client.failures()
        assert failure.error.reason is errors.Reason.IMAGE_UNREADABLE
        retried = client.retry_failures([failure.failure_id, "none"])
        assert (retried.retried, retried.missing_failure_ids) == (1, ["none"])
        assert client.ingest_status().failures == 1
        with pytest.raises(errors.ImageUnreadable):
            client.search("photos", Query.by_image(b"bad"))


def test_models_that_it_does_not_have_are_not_found(client: Client) -> None:
    with pytest.raises(errors.NotFound) as unknown:
        client.collections.create("photos", model="another")
    assert unknown.value.reason is errors.Reason.MODEL_NOT_FOUND


def test_what_it_does_not_do_is_refused(client: Client) -> None:
    client.collections.create("photos")
    (refused,) = client.submit_images("photos", [ImageItem("a", image_uri="file:///a")])
    assert refused.error is not None
    assert refused.error.field == "upload.image_uri"
    with pytest.raises(LookalikeError, match=r"test kit has no .*snapshots"):
        client.snapshots.create("photos")
    for ask in (client.analysis.check, client.analysis.drift):
        with pytest.raises(LookalikeError, match="test kit has no analyses"):
            ask("photos")


async def test_the_asyncio_client_is_answered_too(server: FakeServer) -> None:
    async with AsyncClient(server.address) as client:
        assert await client.ready()
        await client.collections.create("photos")
        items = [ImageItem(str(number), image=b"%d" % number) for number in range(50)]
        accepted = [each async for each in client.submit_images("photos", items, job_id="j")]
        events = [each async for each in client.watch_ingest("j")]
        searches = (client.search("photos", Query.by_image(b"%d" % n)) for n in range(50))
        found = [each.hits[0].id for each in await asyncio.gather(*searches)]
        (measured,) = await client.collections.measure_recall("photos", sample_size=4)

    assert [each.id for each in accepted] == found == [item.id for item in items]
    assert [each.result.version for each in events] == list(range(1, 51))
    assert (measured.recall, measured.queries) == (1.0, 4)


def test_servers_stand_apart_and_a_closed_one_is_away() -> None:
    with FakeServer() as one, FakeServer() as other:
        with Client(one.address) as client, Client(other.address) as second:
            client.collections.create("mine")
            assert list(second.collections.list()) == []
    with Client(one.address, timeout_s=0.5) as client, pytest.raises(errors.LookalikeError):
        client.ready()


def test_the_example_of_its_docstring_runs(tmp_path: Path) -> None:
    match = re.search(r"^    import pytest$.*?(?=^\S)", getdoc(testing) or "", re.M | re.S)
    assert match is not None
    (tmp_path / "test_example.py").write_text(dedent(match.group()))

    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert ended.returncode == 0, ended.stdout
    assert "1 passed" in ended.stdout


@pytest.mark.parametrize("condition", ["n = {}", "n in [1, {}]", "0 < n < {}", "n >= -{}"])
def test_a_number_that_is_not_exact_is_no_literal(client: Client, condition: str) -> None:
    client.collections.create("c", model=None, dimension=2)

    assert client.count("c", filter=condition.format(2**53)) == 0
    with pytest.raises(errors.FilterInvalid, match="9007199254740993 cannot be kept exactly"):
        client.count("c", filter=condition.format(2**53 + 1))


def test_whole_numbers_come_back_as_int(client: Client) -> None:
    client.collections.create("c", model=None, dimension=2)
    items = [VectorItem(str(n), [1, 0], {"n": n}) for n in (42, 0.5)]
    list(client.upsert_vectors("c", items))

    found = client.facets("c", "n").counts
    groups = client.search("c", Query.by_vector([1, 0]), group_by="n").groups

    assert sorted(repr(value) for value, _ in found) == ["0.5", "42"]
    assert sorted(repr(group.value) for group in groups) == ["0.5", "42"]
