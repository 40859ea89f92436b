"""Vectors in batches, and what is sent again."""

import dataclasses

import pytest

from lookalike.v1 import errors_pb2, search_pb2
from lookalike.wire.errors import LookalikeError, Reason
from lookalike_client.inputs import VectorItem
from lookalike_client.types import ImageFacts, MutationStatus
from lookalike_client.upsert_flow import UpsertFlow


def filled(*names: str, batch_items: int = 2) -> UpsertFlow:
    flow = UpsertFlow("c", batch_items=batch_items)
    for name in names:
        assert flow.add(VectorItem(name, [1.0, 0.0])) == []
    flow.end_of_input()
    return flow


def sent_ids(flow: UpsertFlow, now_s: float = 0.0) -> list[list[str]]:
    sent = []
    while (request := flow.next_request(now_s)) is not None:
        sent.append([item.id for item in request.items])
    return sent


def answer(*names: str, refused: str = "") -> search_pb2.UpsertVectorsResponse:
    response = search_pb2.UpsertVectorsResponse()
    for name in names:
        result = response.results.add(id=name)
        if name == refused:
            result.error.reason = errors_pb2.ERROR_REASON_OVERLOADED
            result.error.retryable = True
        else:
            result.status = search_pb2.MUTATION_STATUS_APPLIED
            result.version = 3
    return response


def test_items_travel_in_batches_and_the_rest_at_the_end() -> None:
    flow = filled("a", "b", "c")

    assert sent_ids(flow) == [["a", "b"], ["c"]]
    first = flow.answered(answer("a", "b"), 0.0)
    assert [(each.id, each.status, each.version) for each in first] == [
        ("a", MutationStatus.APPLIED, 3),
        ("b", MutationStatus.APPLIED, 3),
    ]
    assert not flow.idle
    flow.answered(answer("c"), 0.0)
    assert flow.idle


def test_only_what_was_refused_for_now_goes_again() -> None:
    flow = filled("a", "b", "c", "d")
    sent_ids(flow)

    (fine,) = flow.answered(answer("a", "b", refused="b"), 0.0)

    assert fine.id == "a"
    assert flow.refusal is not None
    assert flow.wake_in_s(0.0) is not None
    assert sent_ids(flow, 0.0) == []
    assert sent_ids(flow, 60.0) == [["b"]]


def test_a_refused_vector_does_not_overtake_a_later_one_of_its_id() -> None:
    flow = filled("a", "b", "a", "c")
    sent_ids(flow)

    results = flow.answered(answer("a", "b", refused="a"), 0.0)

    assert [each.id for each in results] == ["a", "b"]
    assert results[0].error is not None
    assert results[0].error.reason is Reason.OVERLOADED
    assert sent_ids(flow, 60.0) == []


def test_a_broken_stream_sends_unanswered_batches_again_in_order() -> None:
    flow = filled("a", "b", "c", "d", "e")
    sent_ids(flow)
    flow.answered(answer("a", "b"), 0.0)

    flow.broken()

    assert sent_ids(flow) == [["c", "d"], ["e"]]


def test_what_is_no_vector_fails_alone() -> None:
    flow = UpsertFlow("c")

    (failed,) = flow.add(VectorItem("bad", [[1.0], [2.0]]))  # type: ignore[list-item]  # the mistake under test
    flow.add(VectorItem("good", [1.0]))
    flow.end_of_input()

    assert failed.status is MutationStatus.FAILED
    assert sent_ids(flow) == [["good"]]


def test_a_service_that_answers_too_few_is_found_out() -> None:
    flow = filled("a", "b")
    sent_ids(flow)

    with pytest.raises(LookalikeError, match="1 results for 2"):
        flow.answered(answer("a"), 0.0)


def test_a_batch_stays_below_the_largest_message() -> None:
    flow = UpsertFlow("c", batch_items=1000)
    facts = ImageFacts(1, 1, 1, "", "0", 0.0, "PNG", thumbnail_webp=b"x" * (9 << 20))
    for name in "abcdefgh":
        assert flow.add(VectorItem(name, [1.0], facts=facts)) == []
    (failed,) = flow.add(
        VectorItem(
            "huge", [1.0], facts=dataclasses.replace(facts, thumbnail_webp=b"x" * (64 << 20))
        )
    )
    flow.end_of_input()

    assert sent_ids(flow) == [["a", "b", "c"], ["d", "e", "f"], ["g", "h"]]
    assert failed.error is not None
    assert failed.error.reason is Reason.LIMIT_EXCEEDED
