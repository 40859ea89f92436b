"""The ledger of what is queued."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from lookalike.serving.queue.entries import Kind, QueuedMutation
from lookalike.serving.queue.keys import LANES
from search_service.ingest.ledger import Ledger

UID = "0" * 32


def mutation(id: str, version: int, job: str = "") -> QueuedMutation:
    return QueuedMutation(UID, id, Kind.UPLOAD, version, 1_700_000_000_000, job)


def queue(ledger: Ledger, *mutations: QueuedMutation) -> list[int]:
    lanes = ledger.begin(mutations)
    ledger.confirm([(one.collection_uid, one.version, f"{one.version}-0") for one in mutations])
    return lanes


def test_what_was_confirmed_outlives_a_restart_and_what_was_not_is_forgotten(
    tmp_path: Path,
) -> None:
    path = str(tmp_path / "ledger.sqlite")
    ledger = Ledger(path)
    queue(ledger, mutation("a", 1, "job"), mutation("b", 2, "job"))
    ledger.begin([mutation("c", 3, "job")])
    assert ledger.open == 2
    ledger.close()

    ledger = Ledger(path)
    assert [(row.id, row.entry) for row in ledger.rows()] == [("a", "1-0"), ("b", "2-0")]
    assert (ledger.open, ledger.open_of("job"), ledger.open_of("other")) == (2, 2, 0)
    ledger.close()


def test_one_that_ends_before_it_is_confirmed_stays_ended() -> None:
    ledger = Ledger(":memory:")
    ledger.begin([mutation("a", 1)])
    assert [row.id for row in ledger.end([(UID, 1)])] == ["a"]
    ledger.confirm([(UID, 1, "1-0")])
    assert (ledger.open, ledger.rows()) == (0, [])
    assert ledger.end([(UID, 1)]) == []


def test_what_is_queued_twice_counts_once() -> None:
    """As two runs that offer one picture, or a failure that is tried again at once."""
    ledger = Ledger(":memory:")
    ledger.begin([mutation("a", 1)])
    ledger.begin([mutation("a", 1)])
    ledger.confirm([(UID, 1, "1-0")])
    ledger.confirm([(UID, 1, "2-0")])
    assert (ledger.open, [row.entry for row in ledger.rows()]) == (1, ["1-0"])
    queue(ledger, mutation("a", 1))
    assert ledger.open == 1
    ledger.end([(UID, 1)])
    assert ledger.open == 0
    assert queue(ledger, mutation("b", 2)) == [0]  # the lane of before is nobody's


def test_each_job_gets_a_lane_and_gives_it_back() -> None:
    ledger = Ledger(":memory:")
    lanes = [
        queue(ledger, mutation(f"{job}-{n}", 10 * job + n + 1, f"job-{job}"))[0]
        for n in range(2)
        for job in range(LANES)
    ]
    assert sorted(lanes[:LANES]) == list(range(LANES))
    assert lanes[LANES:] == lanes[:LANES]

    ledger.end([(UID, 31), (UID, 32)])
    assert queue(ledger, mutation("new", 1000, "new")) == [lanes[3]]


def test_an_item_keeps_its_lane_while_it_is_queued() -> None:
    ledger = Ledger(":memory:")
    first = queue(ledger, mutation("a", 1, "one"))
    queue(ledger, mutation("b", 2, "two"))
    assert queue(ledger, mutation("a", 3, "two"), mutation("a", 4, "three")) == first * 2
    ledger.end([(UID, 1), (UID, 3), (UID, 4)])
    assert queue(ledger, mutation("a", 5, "two")) != first


def test_what_is_lost_is_past_once_it_is_queued_again() -> None:
    ledger = Ledger(":memory:")
    queue(ledger, mutation("a", 1), mutation("b", 2))
    lost = {row.id: row for row in ledger.rows()}
    assert ledger.lose(lost["a"])
    assert ledger.lose(lost["b"])
    assert not ledger.lose(lost["b"])
    assert (ledger.open, ledger.lost()) == (0, 2)

    queue(ledger, mutation("a", 3))
    assert ledger.lost() == 1
    ledger.forget_lost(1)
    assert ledger.lost() == 1
    ledger.forget_lost(2**60)
    assert ledger.lost() == 0


def test_what_one_tenant_lost_is_not_past_once_another_sends_the_same_id() -> None:
    ledger = Ledger(":memory:")
    a, b = (f"{mark * 16}:job" for mark in "ab")
    queue(ledger, mutation("same", 1, a), mutation("same", 2, b), mutation("same", 3))
    assert all(ledger.lose(row) for row in ledger.rows())
    assert ledger.lost() == 3
    queue(ledger, mutation("same", 4, b))
    assert ledger.lost() == 2
    queue(ledger, mutation("same", 5, a), mutation("same", 6))
    assert ledger.lost() == 0


def test_images_that_are_queued_for_one_of_two_are_told() -> None:
    ledger = Ledger(":memory:")
    other = "1" * 32
    queue(ledger, mutation("a", 1), mutation("b", 2), mutation("c", 3))
    queue(ledger, replace(mutation("d", 4), kind=Kind.DELETE))
    ledger.begin([mutation("e", 5)])
    queue(ledger, replace(mutation("b", 2), collection_uid=other))
    ledger.begin([replace(mutation("c", 3), collection_uid=other)])
    assert [(row.id, row.version, row.entry) for row in ledger.alone(UID, other)] == [
        ("a", 1, "1-0")
    ]
    assert ledger.alone(other, UID) == []
