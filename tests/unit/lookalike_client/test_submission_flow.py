"""What goes on an ingestion stream next."""

import itertools
from pathlib import Path

import pytest

from lookalike.v1 import errors_pb2, ingest_pb2
from lookalike.wire.errors import Reason
from lookalike_client.inputs import DeleteItem, ImageItem, MetadataItem
from lookalike_client.submission_flow import SubmissionFlow


def picture(item_id: str) -> ImageItem:
    return ImageItem(item_id, image=b"bytes of " + item_id.encode())


def send_all(flow: SubmissionFlow, now_s: float) -> list[ingest_pb2.SubmitImagesRequest]:
    sent = []
    while (request := flow.next_request(now_s)) is not None:
        sent.append(request)
    return sent


def accepted(request_id: int, version: int = 1) -> ingest_pb2.SubmitImagesResponse:
    return ingest_pb2.SubmitImagesResponse(
        request_id=request_id, accepted=ingest_pb2.SubmitAccepted(version=version)
    )


def overloaded(request_id: int, delay_s: int = 2) -> ingest_pb2.SubmitImagesResponse:
    answer = ingest_pb2.SubmitImagesResponse(request_id=request_id)
    answer.error.reason = errors_pb2.ERROR_REASON_OVERLOADED
    answer.error.message = "the queue is full"
    answer.error.retryable = True
    answer.retry_delay.seconds = delay_s
    return answer


def test_mutations_go_out_in_their_order_and_are_answered_by_id() -> None:
    flow = SubmissionFlow("c", "job")
    for item in (picture("a"), DeleteItem("b"), MetadataItem("d", {"k": 1})):
        assert flow.add(item) == []

    sent = send_all(flow, 0.0)

    assert [request.WhichOneof("mutation") for request in sent] == ["upload", "delete", "metadata"]
    assert {(request.collection, request.job_id) for request in sent} == {("c", "job")}
    (second,) = flow.answered(accepted(sent[1].request_id, 7), 0.0)
    assert (second.id, second.version, second.accepted) == ("b", 7, True)
    assert not flow.idle


def test_a_full_queue_pauses_everything_and_then_the_oldest_goes_first() -> None:
    flow = SubmissionFlow("c", "")
    for name in "abcd":
        flow.add(picture(name))
    sent = send_all(flow, 0.0)

    assert flow.answered(overloaded(sent[2].request_id), 10.0) == []
    assert flow.answered(overloaded(sent[0].request_id), 10.0) == []
    assert flow.refusal is not None
    assert flow.refusal.reason is Reason.OVERLOADED

    assert flow.next_request(11.9) is None
    wait_s = flow.wake_in_s(10.0)
    assert wait_s is not None
    assert 2.0 <= wait_s <= 2.5
    assert [request.upload.id for request in send_all(flow, 12.6)] == ["a", "c"]
    flow.answered(accepted(sent[0].request_id), 13.0)
    assert flow.refusal is None


def test_pauses_grow_while_the_overload_lasts() -> None:
    flow = SubmissionFlow("c", "")
    flow.add(picture("a"))
    now_s, pauses = 0.0, []
    for _ in range(12):
        (request,) = send_all(flow, now_s)
        flow.answered(overloaded(request.request_id, delay_s=0), now_s)
        wait_s = flow.wake_in_s(now_s)
        assert wait_s is not None
        pauses.append(wait_s)
        now_s += wait_s

    assert pauses[0] < 0.2
    assert all(later > sooner for sooner, later in itertools.pairwise(pauses[:7]))
    assert max(pauses) < 20


def test_an_overload_narrows_the_window_and_success_widens_it() -> None:
    flow = SubmissionFlow("c", "", max_items=8)
    for name in "abcdefgh":
        flow.add(picture(name))
    first = send_all(flow, 0.0)
    for request in first:
        flow.answered(overloaded(request.request_id, delay_s=0), 0.0)

    narrowed = send_all(flow, 100.0)
    flow.answered(accepted(narrowed[0].request_id), 100.0)
    widened = send_all(flow, 100.0)

    assert (len(first), len(narrowed), len(widened)) == (8, 4, 2)


def test_a_later_mutation_of_an_id_waits_for_the_earlier_one() -> None:
    flow = SubmissionFlow("c", "")
    flow.add(picture("a"))
    flow.add(DeleteItem("a"))

    assert not flow.room()
    (first,) = send_all(flow, 0.0)
    flow.answered(overloaded(first.request_id, delay_s=0), 0.0)
    (again,) = send_all(flow, 50.0)
    assert again.WhichOneof("mutation") == "upload"
    flow.answered(accepted(again.request_id), 50.0)

    (second,) = send_all(flow, 50.0)
    assert second.WhichOneof("mutation") == "delete"
    flow.answered(accepted(second.request_id), 50.0)
    assert flow.idle


def test_a_broken_stream_sends_what_is_unanswered_again() -> None:
    flow = SubmissionFlow("c", "")
    for name in "abc":
        flow.add(picture(name))
    sent = send_all(flow, 0.0)
    flow.answered(accepted(sent[1].request_id), 0.0)

    flow.broken()

    assert not flow.on_the_wire
    assert [request.upload.id for request in send_all(flow, 0.0)] == ["a", "c"]


def test_a_final_refusal_belongs_to_its_item() -> None:
    flow = SubmissionFlow("c", "")
    flow.add(picture("a"))
    (request,) = send_all(flow, 0.0)
    answer = ingest_pb2.SubmitImagesResponse(request_id=request.request_id)
    answer.error.reason = errors_pb2.ERROR_REASON_COLLECTION_NOT_FOUND

    (result,) = flow.answered(answer, 0.0)

    assert not result.accepted
    assert result.error is not None
    assert result.error.reason is Reason.COLLECTION_NOT_FOUND
    assert flow.idle


def test_the_window_bounds_items_and_bytes() -> None:
    by_items = SubmissionFlow("c", "", max_items=2)
    by_bytes = SubmissionFlow("c", "", max_bytes=100)
    by_items.add(picture("a"))
    assert by_items.room()
    by_items.add(picture("b"))
    by_bytes.add(ImageItem("a", image=bytes(200)))

    assert not by_items.room()
    assert not by_bytes.room()


def test_files_that_cannot_be_sent_fail_at_once(tmp_path: Path) -> None:
    empty = tmp_path / "empty.jpg"
    empty.touch()
    flow = SubmissionFlow("c", "")

    (of_empty,) = flow.add(ImageItem("e", image=empty))
    (of_absent,) = flow.add(ImageItem("x", image=tmp_path / "absent.jpg"))

    assert of_empty.error is not None
    assert of_empty.error.reason is Reason.IMAGE_UNREADABLE
    assert of_absent.error is not None
    assert str(tmp_path) not in of_absent.error.message
    assert flow.idle


@pytest.mark.parametrize("unknown", [0, 99])
def test_an_answer_to_nothing_changes_nothing(unknown: int) -> None:
    flow = SubmissionFlow("c", "")
    flow.add(picture("a"))
    send_all(flow, 0.0)

    assert flow.answered(accepted(unknown), 0.0) == []
    assert not flow.idle
