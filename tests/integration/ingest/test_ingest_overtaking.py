"""Metadata and deletions that go past the queue: what was submitted before them gives way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lookalike_client import (
    Client,
    DeleteItem,
    ImageItem,
    MetadataItem,
    MutationStatus,
    QueuedMutation,
)
from tests.integration.ingest.system import System


@pytest.fixture
def system(tmp_path: Path) -> Iterator[System]:
    system = System(tmp_path)
    try:
        system.start()
        yield system
    finally:
        system.stop()


def test_what_goes_past_the_queue_counts_though_the_picture_comes_later(system: System) -> None:
    system.worker.terminate()  # what is submitted waits
    with Client(system.search_address) as client:
        client.collections.create("c")
        images = [ImageItem(name, f"picture {name}".encode(), {"n": 1}) for name in "abcd"]
        list(client.submit_images("c", images, job_id="j"))
        updated = client.update_metadata("c", {"a": {"n": 2}})
        deleted = client.delete("c", ["b"])
        in_turn: list[QueuedMutation] = [MetadataItem("c", {"n": 3}), DeleteItem("d")]
        list(client.submit_images("c", in_turn, job_id="j"))
        assert client.count("c") == 0

        system.worker.start()
        ended = {(event.result.id, event.result.status) for event in client.watch_ingest("j")}
        stored = {item.id: item.metadata for item in client.list("c")}

    assert [each.status for each in (*updated, *deleted)] == [MutationStatus.NOT_FOUND] * 2
    assert stored == {"a": {"n": 2}, "c": {"n": 3}}
    assert ended == {
        ("a", MutationStatus.APPLIED),
        ("b", MutationStatus.SUPERSEDED),
        ("c", MutationStatus.APPLIED),
        ("d", MutationStatus.APPLIED),
    }
