"""A proxy in the environment of a client: refusing, silent, and one that works."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from lookalike.wire.errors import DeadlineExceeded, LookalikeError, Unavailable
from lookalike_client import AsyncClient, Client, ImageItem
from lookalike_client.testing import FakeServer
from tests.unit.lookalike_client.cli.running import ran

# Names that no resolver knows: only a proxy can lead there.
ELSEWHERE = "search.invalid:50051"
VARIABLES = ("grpc_proxy", "https_proxy", "http_proxy")


@pytest.fixture
def refusing() -> str:
    """The address of a port at which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of a port that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@contextmanager
def forwarding(to: str) -> Iterator[tuple[str, list[str]]]:
    """A proxy that connects all to one address; yields its own and what it was asked for."""
    host, port = to.rsplit(":", 1)
    asked: list[str] = []

    def serve(taken: socket.socket) -> None:
        with closing(taken), socket.create_connection((host, int(port))) as other:
            head = b""
            while b"\r\n\r\n" not in head:
                head += taken.recv(4096)
            asked.append(head.split(b"\r\n", 1)[0].decode())
            taken.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=pump, args=(other, taken), daemon=True)
            back.start()
            pump(taken, other)
            back.join()

    def accept(listener: socket.socket) -> None:
        while True:
            try:
                taken, _ = listener.accept()
            except OSError:  # closed: the test is over
                return
            threading.Thread(target=serve, args=(taken,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, args=(listener,), daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", asked


def pump(source: socket.socket, target: socket.socket) -> None:
    """Copy bytes until one side is closed."""
    try:
        while data := source.recv(65_536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        return


def reached(address: str, *, use_proxy: bool, timeout_s: float = 20.0) -> None:
    with Client(address, timeout_s=timeout_s, patience_s=0.3, use_proxy=use_proxy) as client:
        client.ready()


@pytest.mark.parametrize("name", VARIABLES)
def test_a_proxy_that_refuses_is_named_by_its_variable(
    monkeypatch: pytest.MonkeyPatch, refusing: str, name: str
) -> None:
    monkeypatch.setenv(name, refusing)

    with pytest.raises(Unavailable, match=f"{name} is set, so the call went through that proxy"):
        reached(ELSEWHERE, use_proxy=True)
    with pytest.raises(Unavailable, match=f"{name} is set and was not used: set LOOKALIKE_USE_P"):
        reached(ELSEWHERE, use_proxy=False)


@pytest.mark.parametrize("name", [*VARIABLES, "HTTP_PROXY", "HTTPS_PROXY"])
def test_upper_case_names_are_told_as_well(
    monkeypatch: pytest.MonkeyPatch, refusing: str, name: str
) -> None:
    monkeypatch.setenv(name, refusing)

    with pytest.raises(Unavailable, match=f"{name} is set and was not used"):
        reached(ELSEWHERE, use_proxy=False)


def test_a_proxy_that_is_silent_is_named_when_the_time_is_up(
    monkeypatch: pytest.MonkeyPatch, silent: str
) -> None:
    monkeypatch.setenv("https_proxy", silent)

    with pytest.raises((DeadlineExceeded, Unavailable), match="https_proxy is set, so the call"):
        reached(ELSEWHERE, use_proxy=True, timeout_s=2)


def test_streams_name_it_as_well(monkeypatch: pytest.MonkeyPatch, refusing: str) -> None:
    monkeypatch.setenv("http_proxy", refusing)

    with Client(ELSEWHERE, patience_s=0.0, use_proxy=True) as client:
        for stream in (
            client.submit_images("c", [ImageItem("a", b"picture")]),
            client.watch_ingest("job"),
            client.list("c"),
        ):
            with pytest.raises(LookalikeError, match="http_proxy is set, so the call went"):
                list(stream)


async def test_the_asyncio_client_names_it_as_well(
    monkeypatch: pytest.MonkeyPatch, refusing: str
) -> None:
    monkeypatch.setenv("http_proxy", refusing)

    async with AsyncClient(ELSEWHERE, timeout_s=20, use_proxy=True) as client:
        with pytest.raises(Unavailable, match="http_proxy is set, so the call went"):
            await client.collections.get("c")


@pytest.mark.parametrize("use_proxy", [True, False])
def test_this_machine_is_reached_whatever_proxies_there_are(
    monkeypatch: pytest.MonkeyPatch, silent: str, use_proxy: bool
) -> None:
    for name in VARIABLES:
        monkeypatch.setenv(name, silent)
        monkeypatch.setenv(name.upper(), silent)

    with FakeServer() as server:
        reached(server.address, use_proxy=use_proxy)


def test_a_proxy_that_works_leads_to_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    with FakeServer() as server, forwarding(server.address) as (proxy, asked):
        monkeypatch.setenv("https_proxy", proxy)
        reached(ELSEWHERE, use_proxy=True)

    assert asked
    assert asked[0].startswith(f"CONNECT {ELSEWHERE} ")


def test_the_command_says_so_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], refusing: str
) -> None:
    monkeypatch.setenv("http_proxy", refusing)
    asked = ("status", "--address", ELSEWHERE, "--timeout", "20")

    direct = ran(capsys, *asked)
    proxied = ran(capsys, *asked, "--use-proxy")
    monkeypatch.setenv("LOOKALIKE_USE_PROXY", "1")
    set_by_variable = ran(capsys, *asked)
    monkeypatch.setenv("LOOKALIKE_USE_PROXY", "perhaps")
    wrong = ran(capsys, *asked)

    assert direct.code == proxied.code == 3
    assert f"no search service answers at {ELSEWHERE}" in direct.err
    assert "http_proxy is set and was not used: set LOOKALIKE_USE_PROXY=1" in direct.err
    assert "http_proxy is set, so the call went through that proxy" in proxied.err
    assert set_by_variable == proxied
    assert (wrong.code, wrong.err) == (
        2,
        "error: LOOKALIKE_USE_PROXY must be 1 or 0, got 'perhaps'. (see `lookalike --help`)\n",
    )
    for each in (direct, proxied):
        assert len(each.err.splitlines()) == 1


def test_the_command_goes_through_a_proxy_when_told_to(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with FakeServer() as server, forwarding(server.address) as (proxy, _):
        monkeypatch.setenv("https_proxy", proxy)
        monkeypatch.setenv("LOOKALIKE_USE_PROXY", "1")
        shown = ran(capsys, "status", "--address", ELSEWHERE, "--json")

    assert (shown.code, shown.json["ready"]) == (0, True)
