"""The processes together: what is accepted over gRPC is found, or listed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from lookalike.v1 import collection_pb2, errors_pb2, ingest_pb2, search_pb2
from tests.integration.ingest.caller import caller
from tests.integration.ingest.storm import storm
from tests.integration.ingest.system import System


@pytest.fixture
def system(tmp_path: Path) -> Iterator[System]:
    system = System(tmp_path)
    try:
        system.start()
        yield system
    finally:
        system.stop()


async def test_every_process_is_killed_and_stopped_and_the_state_is_the_models(
    system: System,
) -> None:
    report = await storm(system, 2_000, 200, kills=1, stops=1)
    assert report.exit_codes == [0, 0, 0]
    assert report.hard_errors == []
    assert report.failures == []
    assert report.got == report.wanted


async def test_an_orderly_stop_ends_streams_that_would_not_end(system: System) -> None:
    """Told in words of ours: they were not cut off by the end of the grace."""
    async with caller(system.search_address) as one:
        await one.create()
        await asyncio.to_thread(system.worker.terminate)
        await one.submit([("upload", "a", "picture")])
        watching = one.ingest.WatchIngest(ingest_pb2.WatchIngestRequest(job_id="job"))
        submitting = one.ingest.SubmitImages()
        await submitting.write(
            ingest_pb2.SubmitImagesRequest(
                request_id=3, collection="c", delete=ingest_pb2.ImageDelete(id="b")
            )
        )
        first: Any = await submitting.read()
        assert first.request_id == 3
        code = await asyncio.to_thread(system.search.terminate)
        for call in (watching, submitting):
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                assert await call.read() is grpc.aio.EOF
                raise AssertionError(await call.code())
            assert raised.value.details() == "the service is stopping"
        assert code == 0


async def test_outcomes_verdicts_and_failures_are_told(system: System) -> None:
    async with caller(system.search_address) as one:
        await one.create(duplicates=0.99)
        await one.submit([("upload", "first", "picture")])
        await one.watch()
        await one.submit([("upload", "twin", "picture"), ("upload", "bad", "poison")])
        outcomes = await one.watch()
        assert outcomes["first"].status == search_pb2.MUTATION_STATUS_APPLIED
        assert outcomes["first"].version == one.versions["first"]
        assert outcomes["twin"].status == search_pb2.MUTATION_STATUS_REJECTED_DUPLICATE
        assert outcomes["twin"].near_duplicate.id == "first"
        assert outcomes["bad"].error.reason == errors_pb2.ERROR_REASON_IMAGE_UNREADABLE
        listed = await one.ingest.ListFailures(ingest_pb2.ListFailuresRequest(collection="c"))
        failed = {failure.id: failure for failure in listed.failures}
        assert set(failed) == {"bad", "twin"}
        assert failed["bad"].attempts == 1
        assert failed["twin"].error.reason == errors_pb2.ERROR_REASON_DUPLICATE_REJECTED
        assert failed["twin"].near_duplicate == outcomes["twin"].near_duplicate
        retried = await one.ingest.RetryFailures(
            ingest_pb2.RetryFailuresRequest(failure_ids=[failed["bad"].failure_id])
        )
        assert retried.retried == 1
        await one.drained(20.0)
        # Stored all the same, under the version that was rejected.
        retried = await one.ingest.RetryFailures(
            ingest_pb2.RetryFailuresRequest(
                failure_ids=[failed["twin"].failure_id],
                duplicate_policy=collection_pb2.DUPLICATE_POLICY_ACCEPT,
            )
        )
        assert retried.retried == 1
        await one.drained(20.0)
        assert set(await one.items()) == {"first", "twin"}
        status = await one.ingest.GetIngestStatus(ingest_pb2.GetIngestStatusRequest())
        assert status.failures == 1
        assert status.lost == 0
        assert list(status.warnings) == []
        assert status.HasField("lag")
        assert not status.HasField("oldest_age")
        assert [worker.name for worker in status.workers] == ["worker-1"]

        # What is still queued for a collection that goes away ends as a failure.
        system.worker.terminate()
        await one.submit([("upload", "orphan", "another picture")])
        await one.collections.DeleteCollection(collection_pb2.DeleteCollectionRequest(name="c"))
        await asyncio.to_thread(system.worker.start)
        await one.drained(20.0)
        listed = await one.ingest.ListFailures(ingest_pb2.ListFailuresRequest())
        assert listed.failures[0].id == "orphan"
        assert listed.failures[0].error.reason == errors_pb2.ERROR_REASON_COLLECTION_NOT_FOUND
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await one.ingest.ListFailures(ingest_pb2.ListFailuresRequest(page_token="x"))
        assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
