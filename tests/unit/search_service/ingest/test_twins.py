"""What is queued for the twin of a collection beside what is queued for it."""

from __future__ import annotations

from dataclasses import replace

from lookalike.serving.queue.entries import Kind, QueuedMutation
from lookalike.v1.collection_pb2 import DUPLICATE_POLICY_FLAG, DUPLICATE_POLICY_REJECT
from search_service.ingest.twins import Twin, copy_for_twin

MARK = "0123456789abcdef"
TWIN = Twin("t" * 32, "second", 96)
UPLOAD = QueuedMutation("s" * 32, "a", Kind.UPLOAD, 7, 1, image=b"picture", guard=b"guard")


def copied(mutation: QueuedMutation) -> QueuedMutation | None:
    return copy_for_twin(mutation, lambda uid: TWIN if uid == UPLOAD.collection_uid else None)


def test_a_copy_is_of_the_twins_model_of_no_job_and_of_the_same_tenant() -> None:
    whole = replace(UPLOAD, job_id=f"{MARK}:job", duplicate_policy=DUPLICATE_POLICY_FLAG)
    assert copied(whole) == replace(
        UPLOAD,
        collection_uid=TWIN.uid,
        job_id=f"{MARK}:",
        model_fingerprint="second",
        thumbnail_side_px=96,
        twinned=True,
    )
    named, unnamed = copied(replace(UPLOAD, job_id="job")), copied(UPLOAD)
    assert named is not None
    assert unnamed is not None
    assert (named.job_id, unnamed.job_id) == ("", "")


def test_what_the_twin_must_decide_otherwise_is_not_copied() -> None:
    assert copied(replace(UPLOAD, duplicate_policy=DUPLICATE_POLICY_REJECT)) is None
    for kind in (Kind.DELETE, Kind.METADATA):
        assert copied(replace(UPLOAD, kind=kind)) is None
    assert copied(replace(UPLOAD, collection_uid="other")) is None
