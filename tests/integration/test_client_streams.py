"""The SDK's streams against a service that refuses, breaks off and comes back.

The service is a scripted one behind a real socket: the real one cannot be made to
fail at a chosen message.
"""

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
import pytest
from grpc_status import rpc_status

from lookalike.v1 import ingest_pb2, ingest_pb2_grpc, search_pb2
from lookalike.wire.errors import Exhausted, InvalidField, LookalikeError, Reason, Unavailable
from lookalike.wire.status import to_item_error, to_status
from lookalike_client import AsyncClient, Client, DeleteItem, ImageItem
from lookalike_client.types import Acceptance, IngestEvent

Script = Callable[["ScriptedIngest", int, int], LookalikeError | str | None]
FULL = Exhausted("the queue is full", retry_delay_s=0.05)
AWAY = Unavailable("the service is stopping", reason=Reason.NOT_READY)


class ScriptedIngest(ingest_pb2_grpc.IngestServiceServicer):
    """Asks `script` about each message: an error for the item, "break", or None.

    The script is given the number of the stream and of the message on it, from 1.
    """

    def __init__(self, script: Script) -> None:
        self.script = script
        self.streams = 0
        self.accepted: list[str] = []
        self.cursors: list[str] = []
        self.watch_breaks = 0
        self._lock = threading.Lock()

    def SubmitImages(
        self, request_iterator: Iterator[ingest_pb2.SubmitImagesRequest], context: Any
    ) -> Iterator[ingest_pb2.SubmitImagesResponse]:
        with self._lock:
            self.streams += 1
            stream = self.streams
        for number, request in enumerate(request_iterator, 1):
            verdict = self.script(self, stream, number)
            answer = ingest_pb2.SubmitImagesResponse(request_id=request.request_id)
            if verdict == "break":
                context.abort_with_status(rpc_status.to_status(to_status(AWAY)))
            elif verdict == "reject the stream":
                error = InvalidField("job_id", "is no job id")
                context.abort_with_status(rpc_status.to_status(to_status(error)))
            elif isinstance(verdict, LookalikeError):
                answer.error.CopyFrom(to_item_error(verdict))
                answer.retry_delay.FromMilliseconds(int((verdict.retry_delay_s or 0) * 1000))
                yield answer
            else:
                self.accepted.append(request.upload.id or f"delete {request.delete.id}")
                answer.accepted.version = len(self.accepted)
                yield answer

    def GetIngestStatus(self, request: Any, context: Any) -> Any:
        raise NotImplementedError

    ListFailures = RetryFailures = GetIngestStatus

    def WatchIngest(
        self, request: ingest_pb2.WatchIngestRequest, context: Any
    ) -> Iterator[ingest_pb2.WatchIngestResponse]:
        self.cursors.append(request.cursor)
        start = int(request.cursor or "0")
        for number in range(start + 1, 6):
            if number == start + 3 and self.watch_breaks > 0:
                self.watch_breaks -= 1
                context.abort_with_status(rpc_status.to_status(to_status(AWAY)))
            yield ingest_pb2.WatchIngestResponse(
                cursor=str(number), result=search_pb2.MutationResult(id=f"item {number}")
            )


@contextmanager
def serving(script: Script = lambda service, stream, number: None) -> Iterator[Any]:
    service = ScriptedIngest(script)
    server = grpc.server(ThreadPoolExecutor(8))
    ingest_pb2_grpc.add_IngestServiceServicer_to_server(service, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield service, f"127.0.0.1:{port}"
    finally:
        server.stop(0).wait()


def pictures(count: int) -> list[ImageItem]:
    return [ImageItem(f"p{number:03}", image=b"x" * 100) for number in range(count)]


def submit_blocking(address: str, items: list[Any], patience_s: float) -> list[Acceptance]:
    with Client(address, patience_s=patience_s) as client:
        return list(client.submit_images("c", items, job_id="j"))


def submit_asyncio(address: str, items: list[Any], patience_s: float) -> list[Acceptance]:
    async def run() -> list[Acceptance]:
        async with AsyncClient(address, patience_s=patience_s) as client:
            return [each async for each in client.submit_images("c", items, job_id="j")]

    return asyncio.run(run())


@pytest.fixture(params=[submit_blocking, submit_asyncio], ids=["blocking", "asyncio"])
def submit(request: pytest.FixtureRequest) -> Callable[..., list[Acceptance]]:
    """Submits with either client."""

    def run(address: str, items: list[Any], patience_s: float = 60.0) -> list[Acceptance]:
        results: list[Acceptance] = request.param(address, items, patience_s)
        return results

    return run


def test_every_item_is_accepted_once(submit: Callable[..., list[Acceptance]]) -> None:
    with serving() as (service, address):
        results = submit(address, pictures(600))

    assert [result.id for result in results] == [item.id for item in pictures(600)]
    assert all(result.accepted for result in results)
    assert service.accepted == [item.id for item in pictures(600)]


def test_a_full_queue_slows_down_and_loses_nothing(
    submit: Callable[..., list[Acceptance]],
) -> None:
    def full_now_and_then(service: ScriptedIngest, stream: int, number: int) -> Any:
        return FULL if number % 7 == 3 else None

    with serving(full_now_and_then) as (service, address):
        results = submit(address, pictures(40))

    assert sorted(service.accepted) == [item.id for item in pictures(40)]
    assert sorted(result.id for result in results) == [item.id for item in pictures(40)]
    assert all(result.accepted for result in results)


def test_a_broken_stream_is_taken_up_again(submit: Callable[..., list[Acceptance]]) -> None:
    def breaks_twice(service: ScriptedIngest, stream: int, number: int) -> Any:
        return "break" if stream < 3 and number == 10 else None

    with serving(breaks_twice) as (service, address):
        results = submit(address, pictures(50))

    assert service.streams == 3
    assert {result.id for result in results} == set(service.accepted)
    # Answers that were lost with a stream are asked for again: more may be accepted.
    assert len(results) == 50


def test_mutations_of_one_id_keep_their_order(submit: Callable[..., list[Acceptance]]) -> None:
    def full_at_first(service: ScriptedIngest, stream: int, number: int) -> Any:
        return FULL if number == 1 else None

    items = [ImageItem("a", image=b"x"), DeleteItem("a"), ImageItem("a", image=b"y")]
    with serving(full_at_first) as (service, address):
        submit(address, items)

    assert service.accepted == ["a", "delete a", "a"]


def test_an_item_that_is_refused_for_good_leaves_the_others_alone(
    submit: Callable[..., list[Acceptance]],
) -> None:
    def third_is_wrong(service: ScriptedIngest, stream: int, number: int) -> Any:
        return InvalidField("upload.id", "too long") if number == 3 else None

    with serving(third_is_wrong) as (_, address):
        results = submit(address, pictures(5))

    wrong = [result for result in results if result.error is not None]
    assert [result.id for result in wrong] == ["p002"]
    assert wrong[0].error is not None
    assert wrong[0].error.field == "upload.id"


def test_a_stream_that_is_refused_for_good_is_an_error(
    submit: Callable[..., list[Acceptance]],
) -> None:
    with (
        serving(lambda service, stream, number: "reject the stream") as (service, address),
        pytest.raises(InvalidField, match="no job id"),
    ):
        submit(address, pictures(5))

    assert service.streams == 1


@pytest.mark.parametrize("verdict", ["break", FULL], ids=["away", "full"])
def test_patience_ends(submit: Callable[..., list[Acceptance]], verdict: Any) -> None:
    kind = Unavailable if verdict == "break" else Exhausted
    with (
        serving(lambda service, stream, number: verdict) as (_, address),
        pytest.raises(kind),
    ):
        submit(address, pictures(3), patience_s=0.5)


def test_a_fault_in_the_callers_items_reaches_the_caller() -> None:
    def items() -> Iterator[ImageItem]:
        yield from pictures(3)
        raise RuntimeError("the caller's own")

    with serving() as (_, address), Client(address) as client, pytest.raises(RuntimeError):
        list(client.submit_images("c", items()))


def test_leaving_early_ends_the_stream() -> None:
    with serving() as (service, address), Client(address) as client:
        results = client.submit_images("c", pictures(1000))
        first = next(results)
        results.close()  # type: ignore[attr-defined]  # what iterates is a generator

    assert first.accepted
    assert len(service.accepted) < 1000


def watch_blocking(address: str) -> list[IngestEvent]:
    with Client(address) as client:
        return list(client.watch_ingest("j"))


def watch_asyncio(address: str) -> list[IngestEvent]:
    async def run() -> list[IngestEvent]:
        async with AsyncClient(address) as client:
            return [event async for event in client.watch_ingest("j")]

    return asyncio.run(run())


@pytest.mark.parametrize("watch", [watch_blocking, watch_asyncio])
def test_watching_resumes_after_the_last_outcome(
    watch: Callable[[str], list[IngestEvent]],
) -> None:
    with serving() as (service, address):
        service.watch_breaks = 2

        events = watch(address)

    assert [event.result.id for event in events] == [f"item {number}" for number in range(1, 6)]
    assert service.cursors == ["", "2", "4"]
