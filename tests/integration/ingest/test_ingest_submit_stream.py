"""One caller's stream: flow control, order, references."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

import pytest

from lookalike.serving.queue.entries import Kind
from lookalike.wire.errors import ImageTooLarge, LookalikeError, ReferenceInvalid, Unavailable
from search_service.ingest.references import References
from search_service.ingest.settings import ReferenceSettings
from search_service.ingest.submission import Answer, Request, Submission
from search_service.ingest.submit_stream import SubmitStream, Window


def _upload(item_id: str, image: bytes = b"x") -> Submission:
    return Submission("c", Kind.UPLOAD, item_id, image=image)


class _Door:
    """Takes as long as it is told and notes in which order it took."""

    def __init__(self, delays_s: dict[bytes, float] | None = None) -> None:
        self.taken: list[bytes] = []
        self.begun = 0
        self._delays_s = delays_s or {}

    async def submit(self, submission: Submission) -> int:
        self.begun += 1
        await asyncio.sleep(self._delays_s.get(submission.image, 0.0))
        self.taken.append(submission.image)
        return len(self.taken)


async def _requests(*submissions: Submission | LookalikeError) -> AsyncIterator[Request]:
    for number, submission in enumerate(submissions):
        yield Request(number, submission)


async def test_mutations_of_an_id_are_queued_in_turn() -> None:
    door = _Door({b"slow": 0.1})
    stream = SubmitStream(door.submit, Window(10, 1000), asyncio.Event())
    requests = _requests(_upload("a", b"slow"), _upload("a", b"second"), _upload("b", b"other"))
    answers = [answer async for answer in stream.answers(requests)]
    assert door.taken == [b"other", b"slow", b"second"]
    assert [answer.request_id for answer in answers] == [2, 0, 1]


async def test_a_refused_item_leaves_the_others_alone() -> None:
    error = ReferenceInvalid("no")
    stream = SubmitStream(_Door().submit, Window(10, 1000), asyncio.Event())
    answers = {
        answer.request_id: answer.outcome
        async for answer in stream.answers(_requests(_upload("a"), error, _upload("b")))
    }
    assert answers == {0: 1, 1: error, 2: 2}


@pytest.mark.parametrize("window", [Window(3, 10**9), Window(100, 300)])
async def test_a_stream_is_not_read_past_its_window(window: Window) -> None:
    read = 0

    async def requests() -> AsyncIterator[Request]:
        nonlocal read
        for number in range(20):
            read += 1
            yield Request(number, _upload(f"id-{number}", b"x" * 100))

    stream = SubmitStream(_Door({b"x" * 100: 0.05}).submit, window, asyncio.Event())
    answers = stream.answers(requests())
    await anext(answers)
    assert read <= 5
    assert len([answer async for answer in answers]) == 19


async def test_leaving_a_stream_ends_what_it_began() -> None:
    door = _Door({b"x": 60.0})
    stream = SubmitStream(door.submit, Window(10, 1000), asyncio.Event())
    answers = stream.answers(_requests(_upload("a"), ReferenceInvalid("no")))
    await anext(answers)
    await answers.aclose()
    assert door.begun == 1
    assert door.taken == []
    assert not [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]


async def test_a_draining_stream_answers_what_it_read() -> None:
    draining = asyncio.Event()

    async def requests() -> AsyncIterator[Request]:
        yield Request(0, _upload("a", b"slow"))
        draining.set()
        await asyncio.sleep(60)

    stream = SubmitStream(_Door({b"slow": 0.05}).submit, Window(10, 1000), draining)
    answers = stream.answers(requests())
    assert await anext(answers) == Answer(0, 1)
    with pytest.raises(Unavailable):
        await anext(answers)


async def test_a_fault_with_one_item_leaves_the_others_alone() -> None:
    async def submit(submission: Submission) -> int:
        if submission.id == "a":
            raise RuntimeError("secret")
        return 1

    stream = SubmitStream(submit, Window(10, 1000), asyncio.Event())
    answers = {
        answer.request_id: answer.outcome
        async for answer in stream.answers(_requests(_upload("a"), _upload("b")))
    }
    assert answers[1] == 1
    fault = answers[0]
    assert isinstance(fault, LookalikeError)
    assert "secret" not in fault.message


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "a b.png").write_bytes(b"picture")
    (tmp_path / "secret").write_bytes(b"secret")
    (folder / "link").symlink_to(tmp_path / "secret")
    (folder / "large").write_bytes(b"x" * 2_000)
    os.mkfifo(folder / "pipe")
    return folder


async def test_files_are_read_under_allowed_roots_only(root: Path) -> None:
    references = References(ReferenceSettings(image_roots=(root,), max_reference_bytes=1_000))
    read = references.read
    assert await read(f"file://{root}/a%20b.png", field="f") == b"picture"
    assert await read(f"file:{root}/a%20b.png", field="f") == b"picture"
    for wrong in ("/../secret", "/link", "/nothing", "/pipe", "", "/a%00b"):
        with pytest.raises(ReferenceInvalid) as raised:
            await read(f"file://{root}{wrong}", field="f")
        assert str(root) not in raised.value.message
    with pytest.raises(ImageTooLarge):
        await read(f"file://{root}/large", field="f")
    nowhere = References(ReferenceSettings())
    with pytest.raises(ReferenceInvalid):
        await nowhere.read(f"file://{root}/a%20b.png", field="f")


@pytest.mark.parametrize(
    "uri",
    ["http://x/y", "ftp://x/y", "/etc/passwd", "file://host/x", "s3://", "s3://b", "", "x" * 5000,
     "s3://other/key", "gs://photos/key", "file://[/x"],
)  # fmt: skip
async def test_other_references_are_refused(uri: str, root: Path) -> None:
    settings = ReferenceSettings(image_roots=(root,), image_buckets=("s3:photos",))
    with pytest.raises(ReferenceInvalid):
        await References(settings).read(uri, field="f")


class _Bucket(BaseHTTPRequestHandler):
    """Answers as an S3 or GCS endpoint does for keys of one bucket."""

    OBJECTS = {"/photos/in/a.png": b"picture", "/photos/large": b"x" * 2_000}

    def do_GET(self) -> None:
        path = unquote(self.path)
        body = self.OBJECTS.get(path)
        status = 403 if path == "/photos/secret" else 404 if body is None else 200
        self.send_response(status)
        content = b"<Error><Code>NoSuchKey</Code></Error>" if body is None else body
        self.send_header("Content-Length", str(len(content)))
        self.send_header("ETag", '"1"')
        self.send_header("Last-Modified", "Mon, 01 Jan 2024 00:00:00 GMT")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        return


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Bucket)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize("scheme", ["s3", "gs"])
async def test_objects_are_read_from_allowed_buckets(scheme: str, endpoint: str) -> None:
    settings = ReferenceSettings(
        image_buckets=(f"{scheme}:photos",),
        s3_endpoint_url=endpoint,
        gs_endpoint_url=endpoint,
        max_reference_bytes=1_000,
    )
    references = References(settings)
    assert await references.read(f"{scheme}://photos/in/a.png", field="f") == b"picture"
    with pytest.raises(ReferenceInvalid, match="no such object"):
        await references.read(f"{scheme}://photos/nothing", field="f")
    with pytest.raises(ReferenceInvalid, match="cannot be read"):
        await references.read(f"{scheme}://photos/secret", field="f")
    with pytest.raises(ImageTooLarge, match=r"the limit is 1,000 .*max_reference_bytes"):
        await references.read(f"{scheme}://photos/large", field="f")


@pytest.mark.parametrize("scheme", ["s3", "gs"])
async def test_an_object_store_that_is_away_may_be_asked_again(scheme: str) -> None:
    with socket.socket() as probe:  # bound, but nobody listens
        probe.bind(("127.0.0.1", 0))
        nowhere = f"http://127.0.0.1:{probe.getsockname()[1]}"
        settings = ReferenceSettings(
            image_buckets=(f"{scheme}:photos",),
            s3_endpoint_url=nowhere,
            gs_endpoint_url=nowhere,
            reference_timeout_s=1.0,
        )
        with pytest.raises(LookalikeError) as raised:
            await References(settings).read(f"{scheme}://photos/a", field="f")
    assert raised.value.retryable
