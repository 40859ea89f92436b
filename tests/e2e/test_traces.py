"""One ingest and one query are a trace each, across all processes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lookalike.wire.errors import InvalidField, NotFound
from lookalike_client import AsyncClient, Client, DeleteItem, ImageItem, Query
from lookalike_client.supervisor.launch import RunningSystem
from lookalike_client.tracing import request_id, traced
from tests.e2e.collector import Collector, Seen
from tests.e2e.conftest import RunCli

NAME = "traced"


@pytest.fixture(scope="module")
def collection(system: RunningSystem) -> Iterator[str]:
    with Client(system.search) as client:
        client.collections.create(NAME)
        yield NAME
        client.collections.delete(NAME)


def _of_trace(collector: Collector, process: str, wanted: set[tuple[str, str]]) -> list[Seen]:
    """Return the spans of the trace that `process` began, once the wanted are there."""

    def found(spans: list[Seen]) -> list[Seen]:
        own = [span.trace_id for span in spans if span.process == process]
        return [span for span in spans if own and span.trace_id == own[0]]

    return found(
        collector.wait(lambda spans: wanted <= {(s.process, s.name) for s in found(spans)})
    )


def _check_joined(process: str, spans: list[Seen]) -> None:
    """Each span but the first lies in another of the trace, and none ends before it begins."""
    ids = {span.span_id for span in spans}
    assert [span.process for span in spans if not span.parent_id] == [process]
    assert [span for span in spans if span.parent_id and span.parent_id not in ids] == []
    assert all(span.end_s >= span.start_s for span in spans)


def test_an_ingest_is_one_trace(
    system: RunningSystem, collector: Collector, collection: str, photo: Path
) -> None:
    with traced(collector.url, process="ingest"), Client(system.search) as client:
        items = [ImageItem("cat", photo)]
        assert [each.error for each in client.submit_images(collection, items, job_id="one")] == [
            None
        ]
    with Client(system.search) as client:
        assert [each.result.error for each in client.watch_ingest("one")] == [None]

    spans = _of_trace(
        collector,
        "ingest",
        {
            ("ingest", "lookalike.v1.IngestService/SubmitImages"),
            ("search", "lookalike.v1.IngestService/SubmitImages"),
            ("search", "append to the queue"),
            ("worker", "apply upload"),
            ("worker", "wait in the queue"),
            ("worker", "lookalike.v1.EmbedderService/EmbedImages"),
            ("embedder", "lookalike.v1.EmbedderService/EmbedImages"),
            ("embedder", "decode"),
            ("embedder", "infer in a batch"),
            ("worker", "store"),
            ("worker", "lookalike.v1.SearchService/UpsertVectors"),
            ("search", "lookalike.v1.SearchService/UpsertVectors"),
            ("search", "commit"),
        },
    )
    _check_joined("ingest", spans)


def test_a_query_is_one_trace(
    system: RunningSystem, collector: Collector, collection: str, photo: Path
) -> None:
    with traced(collector.url, process="query"), Client(system.search) as client:
        client.search(collection, Query.by_image(photo), limit=3)

    spans = _of_trace(
        collector,
        "query",
        {
            ("query", "lookalike.v1.SearchService/Search"),
            ("search", "lookalike.v1.SearchService/Search"),
            ("search", "lookalike.v1.EmbedderService/EmbedImage"),
            ("embedder", "lookalike.v1.EmbedderService/EmbedImage"),
            ("embedder", "decode"),
            ("embedder", "infer in a batch"),
            ("search", "search"),
        },
    )
    _check_joined("query", spans)
    (server,) = [s for s in spans if s.process == "search" and s.name.endswith("/Search")]
    assert server.attributes["lookalike.plan"] in {"exact", "compact", "graph"}
    assert server.attributes["rpc.grpc.status_code"] == "OK"


async def test_a_refused_call_of_asyncio_says_its_status(
    system: RunningSystem, collector: Collector
) -> None:
    with traced(collector.url, process="refused"):
        async with AsyncClient(system.search) as client:
            with pytest.raises(NotFound):
                await client.count("not-there")

    name = "lookalike.v1.SearchService/CountItems"
    spans = _of_trace(collector, "refused", {("refused", name), ("search", name)})
    assert [s.attributes["rpc.grpc.status_code"] for s in spans] == ["NOT_FOUND", "NOT_FOUND"]


def test_mutations_past_the_first_hundred_are_not_in_the_trace_of_the_stream(
    system: RunningSystem, collector: Collector, collection: str
) -> None:
    with traced(collector.url, process="many"), Client(system.search) as client:
        gone = [DeleteItem(f"none-{number}") for number in range(101)]
        assert len(list(client.submit_images(collection, gone, job_id="many"))) == 101

    name = "lookalike.v1.IngestService/SubmitImages"
    inside = _of_trace(collector, "many", {("many", name), ("search", name)})
    # Those past it begin traces here, of which the system is told to keep none.
    assert sum(span.name == "append to the queue" for span in inside) == 100


def test_who_does_not_trace_is_not_traced(
    system: RunningSystem, collector: Collector, collection: str
) -> None:
    name = "lookalike.v1.SearchService/GetItems"
    with Client(system.search) as client:
        client.get(collection, ["cat"])
    with traced(collector.url, process="after"), Client(system.search) as client:
        client.get(collection, ["cat"])

    # The later call is there: so would the earlier one be.
    _of_trace(collector, "after", {("after", name), ("search", name)})
    assert [s.process for s in collector.spans if s.name == name and s.process == "search"] == [
        "search"
    ]


def test_the_command_traces_its_calls(
    cli: RunCli, collector: Collector, collection: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOOKALIKE_TRACES_TO", collector.url)

    assert cli("count", "-c", collection).code == 0
    name = "lookalike.v1.SearchService/CountItems"
    _of_trace(collector, "lookalike", {("lookalike", name), ("search", name)})


def test_a_collector_has_an_address(cli: RunCli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOKALIKE_TRACES_TO", "collector:4317")

    ran = cli("count")
    assert ran.code != 0
    assert "http://HOST:PORT" in ran.err
    with pytest.raises(InvalidField, match="http://HOST:PORT"), traced("collector"):
        pass


def test_each_service_logs_under_the_id_of_the_request(
    system: RunningSystem, collection: str, photo: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no picture")
    with Client(system.search) as client:
        with request_id("order 17"):
            client.search(collection, Query.by_image(photo), limit=1)
        with request_id("order 18"):
            list(client.submit_images(collection, [ImageItem("b", broken)], job_id="order-18"))
        assert [each.result.error is None for each in client.watch_ingest("order-18")] == [False]

    def said(process: str, of: str) -> str:
        lines = (system.data / "logs" / f"{process}.log").read_text().splitlines()
        return "\n".join(line for line in lines if f"request_id={of}" in line)

    assert "SearchService/Search" in said("search", "order 17")
    assert "EmbedderService/EmbedImage" in said("embedder", "order 17")
    assert "IngestService/SubmitImages" in said("search", "order 18")
    assert "gave a mutation up" in said("worker", "order 18")
    assert "image answered" in said("embedder", "order 18")
