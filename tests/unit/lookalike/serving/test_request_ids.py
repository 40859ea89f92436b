"""The id of a request: given or made, returned, in the log, and in calls that are made for it."""

from __future__ import annotations

import json
import logging
from typing import Any

import grpc
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.exposition import generate_latest

from lookalike.serving.logs import JsonFormatter
from lookalike.serving.metrics import CallMetrics
from lookalike.v1 import embedder_pb2
from lookalike.wire import request_ids
from lookalike.wire.errors import InvalidField, NotFound, Reason
from lookalike.wire.status import from_rpc_error
from lookalike.wire.traces import spans
from tests.unit.lookalike.serving.test_server import raising, serve

_log = logging.getLogger("lookalike.test")


class _Lines(logging.Handler):
    """Lines of the log as they are written, for machines."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(JsonFormatter())
        self.lines: list[dict[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(json.loads(self.format(record)))


@pytest.fixture
def lines() -> Any:
    handler = _Lines()
    root = logging.getLogger()
    root.addHandler(handler)
    before = root.level
    root.setLevel(logging.DEBUG)
    yield handler.lines
    root.setLevel(before)
    root.removeHandler(handler)


async def _returned(call: Any) -> str:
    await call
    return str(dict(await call.trailing_metadata())[request_ids.KEY])


async def test_an_id_is_given_or_made_and_stands_in_every_line(lines: list[dict[str, Any]]) -> None:
    async def speaking() -> None:
        _log.info("at work")

    request = embedder_pb2.GetModelRequest()
    async with serve(speaking) as (_, stub, _channel):
        given = await _returned(stub.GetModel(request, metadata=((request_ids.KEY, "order 17"),)))
        with request_ids.within("around"):
            carried = await _returned(stub.GetModel(request))
        made = await _returned(stub.GetModel(request))
        other = await _returned(stub.GetModel(request, metadata=((request_ids.KEY, "x" * 129),)))

    assert (given, carried) == ("order 17", "around")
    assert len(made) == len(other) == 32
    for message in ("at work", "call ended"):
        found = [line["request_id"] for line in lines if line["message"] == message]
        assert found == ["order 17", "around", made, other]


async def test_calls_that_are_refused_have_one_too() -> None:
    async with serve(raising(NotFound("no", reason=Reason.MODEL_NOT_FOUND))) as (_, stub, _channel):
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await stub.GetModel(embedder_pb2.GetModelRequest())

    assert dict(raised.value.trailing_metadata())[request_ids.KEY]
    assert from_rpc_error(raised.value).reason is Reason.MODEL_NOT_FOUND


async def test_a_fault_tells_its_caller_where_the_log_has_it(lines: list[dict[str, Any]]) -> None:
    async with serve(raising(ZeroDivisionError())) as (_, stub, _channel):
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await stub.GetModel(embedder_pb2.GetModelRequest())

    (line,) = [line for line in lines if line["message"] == "call failed"]
    assert from_rpc_error(raised.value).message.endswith(f" request id {line['request_id']}")


@pytest.mark.parametrize("bad", ["a\nb", "é", "x" * 129])
def test_an_id_is_one_line_of_ascii(bad: str) -> None:
    with pytest.raises(InvalidField), request_ids.within(bad):
        pass
    assert request_ids.usable(bad) == ""


class _Kept:
    """A span that is exported; it is asked for its trace alone."""

    trace_id = "5" * 32
    span_id = "6" * 16
    kept = True


async def test_a_time_has_the_trace_of_its_call_as_an_exemplar() -> None:
    registry = CollectorRegistry()

    async def within_a_trace() -> None:
        spans.enter(_Kept())  # type: ignore[arg-type]  # the handler's task, to its end

    async with serve(within_a_trace, metrics=CallMetrics(registry)) as (_, stub, _channel):
        await stub.GetModel(embedder_pb2.GetModelRequest())

    text: bytes = generate_latest(registry)  # type: ignore[no-untyped-call]  # has no types
    assert f'# {{trace_id="{"5" * 32}"}}' in text.decode()
