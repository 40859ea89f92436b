"""What a caller does with images that the duplicate policy rejects, told as data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lookalike_client import Client, DuplicateSettings, ImageItem, IngestFailure, VectorItem


def duplicates_scenario(client: Client) -> Iterator[tuple[str, Any]]:
    """Rejected, listed with the neighbour, overridden for one, tried again with another policy."""
    near = client.collections.create("near", duplicates=DuplicateSettings("reject", 0.9))
    images = [
        ImageItem("a", image=b"one"),
        ImageItem("b", image=b"one"),
        ImageItem("c", image=b"one", duplicate_policy="accept"),
        ImageItem("d", image=b"poison"),
        ImageItem("e", image=b"two", duplicate_policy="maybe"),
    ]
    statuses = []
    for image in images:  # one at a time: which of two is the copy follows their order
        accepted = list(client.submit_images("near", [image], job_id="dup"))
        yield f"accepted {image.id}", [each.error and each.error.field for each in accepted]
        statuses = [event.result.status.value for event in client.watch_ingest("dup")]
    yield "ended", statuses
    listed = [each for each in client.failures("near") if each.near_duplicate is not None]
    yield "listed", [_told(each) for each in listed]
    yield "message", [each.error.message for each in listed]
    ids = [each.failure_id for each in listed]
    yield "as before", client.retry_failures(ids).retried
    yield "again", [event.result.status.value for event in client.watch_ingest("dup")]
    again = [each for each in client.failures("near") if each.near_duplicate is not None]
    yield "listed again", [_told(each) for each in again]
    retried = client.retry_failures([each.failure_id for each in again], duplicate_policy="accept")
    yield "stored all the same", (retried.retried, retried.missing_failure_ids)
    yield "outcomes", [event.result.status.value for event in client.watch_ingest("dup")]
    yield "stored in the end", [item.id for item in client.list("near")]
    yield "left", [each.id for each in client.failures("near")]
    client.collections.create("near-own", model=None, dimension=2, duplicates=near.duplicates)
    vectors = [
        VectorItem("a", [1, 0]),
        VectorItem("b", [1, 0]),
        VectorItem("c", [1, 0], duplicate_policy="off"),
        VectorItem("d", [1, 0], duplicate_policy="flag"),
    ]
    results = [next(iter(client.upsert_vectors("near-own", [each]))) for each in vectors]
    yield "vectors", [(each.id, each.status.value) for each in results]
    yield "flagged", [(item.id, item.near_duplicate_of) for item in client.list("near-own")]
    client.collections.delete("near-own")


def _told(failure: IngestFailure) -> Any:
    near = failure.near_duplicate
    found = None if near is None else (near.id, round(near.score, 5))
    return (failure.id, failure.error.reason.name, found, failure.job_id)
