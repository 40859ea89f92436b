"""Password, ACL and TLS; nothing secret in what is shown."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
import ssl
import subprocess
import traceback
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from embedder_service.worker.settings import WorkerSettings
from lookalike.serving.queue.connection import connect
from lookalike.wire.errors import InvalidField, Unavailable
from search_service.ingest.settings import IngestSettings
from tests.integration.ingest.model import FakeEmbedder, FakeIndex
from tests.integration.ingest.rig import RunningWorker, drained, front_door, submission, worker
from tests.integration.ingest.valkey import Valkey

_RULES = ("on", ">hush", "~{lookalike}:*", "+@all", "-@dangerous", "+info")


async def test_an_acl_user_with_our_keys_is_enough(tmp_path: Path) -> None:
    server = Valkey(tmp_path, "--user", "looky", *_RULES, "--user", "default", "off")
    server.start()
    url = f"redis://looky:hush@127.0.0.1:{server.port}"
    try:
        async with front_door(url) as door, worker(url, FakeEmbedder(), FakeIndex()):
            await door.submit(submission("upload", "a", "picture", "job"))
            await drained(door)
            assert len([event async for event in door.watch("job", "")]) == 1
    finally:
        server.stop()


async def test_a_wrong_password_is_not_shown(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server = Valkey(tmp_path, "--requirepass", "right")
    server.start()
    url = f"redis://:hush@127.0.0.1:{server.port}"
    caplog.set_level(logging.DEBUG)
    running = RunningWorker(url, FakeEmbedder(), FakeIndex(), "w")
    try:
        async with front_door(url, startup_wait_s=0.2) as door:
            with pytest.raises(Unavailable) as raised:
                await door.submit(submission("delete", "a", ""))
            # Told at once: waiting does not make a password right.
            with pytest.raises(Unavailable, match=rf":{server.port} refuses the user or password"):
                await running.queue.wait_for_server(600)
    finally:
        await running.queue.close()
        server.stop()
    shown = f"{raised.value!r} {running.settings!r} {IngestSettings(redis=url)!r} {caplog.text}"
    assert "hush" not in shown


async def test_a_worker_says_why_it_does_not_reach_the_queue(tmp_path: Path) -> None:
    server = Valkey(tmp_path)
    running = RunningWorker(server.url, FakeEmbedder(), FakeIndex(), "w")
    try:
        with pytest.raises(Unavailable, match=rf"no Redis answers at 127.0.0.1:{server.port}: C"):
            await running.queue.wait_for_server(0.2)
    finally:
        await running.queue.close()


@pytest.mark.parametrize("url", ["redis://:hush/x@host", "hush", "http://:hush@host"])
def test_a_wrong_url_is_not_shown(url: str) -> None:
    for settings in (WorkerSettings(redis=url, name="w"), IngestSettings(redis=url)):
        with pytest.raises(InvalidField) as raised:
            connect(settings, "test")
        shown = "".join(traceback.format_exception(raised.value))
        assert "redis://user" in raised.value.message
        assert "hush" not in shown.replace(url, "")


async def test_tls(tmp_path: Path, valkey_server: Valkey, client: Redis) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs openssl to make a certificate")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(  # noqa: ASYNC221 - nothing else runs yet
        [
            *(openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    async with _tls_in_front_of(valkey_server.port, context) as port:
        url = f"rediss://127.0.0.1:{port}"
        async with (
            front_door(url, redis_tls_ca=certificate) as door,
            worker(url, FakeEmbedder(), FakeIndex(), redis_tls_ca=certificate),
        ):
            await door.submit(submission("upload", "a", "picture"))
            await drained(door)
        async with front_door(url, startup_wait_s=0.2) as door:
            with pytest.raises(Unavailable):  # an authority that nobody vouched for
                await door.submit(submission("delete", "a", ""))


@contextlib.asynccontextmanager
async def _tls_in_front_of(port: int, context: ssl.SSLContext) -> AsyncIterator[int]:
    """Take TLS connections and pass them on: the embedded server is built without."""

    async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(pipe(reader, inner_writer), pipe(inner_reader, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await asyncio.sleep(0.1)  # what the clients closed is passed on
