"""What is found wrong with a deployment, and what is said to change."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from lookalike.v1 import collection_pb2
from lookalike_client import convert, expiry
from lookalike_client.examination import about_collection, about_ingestion, about_transport
from lookalike_client.findings import Level
from lookalike_client.types import Collection, IngestStatus, WorkerStatus

WORKER = WorkerStatus("w-1", 1.0, "", 10, 0, 2.0, {})
GOOD = IngestStatus(0, 0, 0, None, 0, 0, 1_000, [WORKER])


@pytest.mark.parametrize(
    ("address", "tls", "level"),
    [
        ("127.0.0.1:50051", False, Level.OK),
        ("localhost:50051", False, Level.OK),
        ("[::1]:50051", False, Level.OK),
        ("search.example.com:50051", False, Level.WARNING),
        ("10.0.0.7:50051", False, Level.WARNING),
        ("search.example.com:50051", True, Level.OK),
    ],
)
def test_what_leaves_the_machine_without_tls_is_told(address: str, tls: bool, level: Level) -> None:
    assert about_transport(address, tls=tls).level is level


def test_a_queue_in_order_is_one_line() -> None:
    (found,) = about_ingestion(GOOD)

    assert (found.level, found.text) == (Level.OK, "0 waiting, 1 workers")


@pytest.mark.parametrize(
    ("status", "level", "said"),
    [
        (replace(GOOD, workers=[]), Level.WARNING, "none is running"),
        (replace(GOOD, workers=[], queue_depth=3), Level.FAILURE, "none is running"),
        (replace(GOOD, workers=[replace(WORKER, heartbeat_age_s=60)]), Level.WARNING, "none"),
        (replace(GOOD, workers=[replace(WORKER, paused_reason="x")]), Level.WARNING, "paused: x"),
        (replace(GOOD, lost=3), Level.WARNING, "lost 3"),
        (replace(GOOD, failures=2), Level.WARNING, "2 images were given up"),
        (replace(GOOD, queue_bytes=900), Level.WARNING, "holds 900 of 1,000 bytes"),
        (replace(GOOD, oldest_age_s=601.0), Level.WARNING, "waits for 601 s"),
        (replace(GOOD, warnings=["no append-only file"]), Level.WARNING, "append-only"),
    ],
)
def test_each_trouble_of_the_queue_is_told_with_advice(
    status: IngestStatus, level: Level, said: str
) -> None:
    (found,) = about_ingestion(status)

    assert found.level is level
    assert said in found.text
    assert found.advice


@pytest.mark.parametrize(
    ("stats", "level", "said"),
    [
        ({}, Level.OK, "5 items"),
        ({"store_damage": "page 3"}, Level.FAILURE, "page 3"),
        ({"last_build_error": "no room"}, Level.FAILURE, "no room"),
        ({"side_list_vectors": 9_000, "graph_vectors": 100_000}, Level.WARNING, "9,000 of"),
    ],
)
def test_each_trouble_of_a_collection_is_told(
    stats: dict[str, object], level: Level, said: str
) -> None:
    (found,) = about_collection(collection(**stats))

    assert found.level is level
    assert said in found.text
    assert bool(found.advice) is (level is not Level.OK)


def collection(**stats: object) -> Collection:
    empty = convert.collection(collection_pb2.Collection(name="shoes"))
    return replace(empty, stats=replace(empty.stats, items=5, **stats))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("days", "level", "said"),
    [(-1, Level.FAILURE, "expired on"), (29, Level.WARNING, "29 days"), (31, Level.OK, "31 days")],
)
def test_what_expires_soon_is_warned_of(days: int, level: Level, said: str) -> None:
    now = datetime(2030, 1, 1, tzinfo=UTC)

    found = expiry.about("our API key", now + timedelta(days=days), now, "ask for a new one")

    assert found.level is level
    assert said in found.text
    assert (found.advice == "") is (level is Level.OK)


def test_a_tenant_hears_of_no_worker_and_of_none_that_is_missing() -> None:
    (found,) = about_ingestion(replace(GOOD, workers=[], max_queue_bytes=0, queue_depth=2))

    assert (found.level, found.text) == (Level.OK, "2 of this tenant's waiting")
