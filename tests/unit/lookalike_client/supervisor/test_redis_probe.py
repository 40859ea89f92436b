"""Whether a Redis that runs already lets us in, and what is said where it does not."""

import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from lookalike_client.supervisor import redis_probe, redis_server
from lookalike_client.supervisor.errors import StartError
from lookalike_client.supervisor.ports import ReservedPort
from tests.unit.lookalike_client.supervisor.waiting import eventually

PASSWORD = "right p@ss/word"
QUOTED = "right%20p%40ss%2Fword"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a server that wants a password."""
    port = ReservedPort.reserve(0, "--x")
    config = redis_server.write_config(tmp_path_factory.mktemp("redis"), port.number)
    with Path(config).open("a") as more:
        more.write(f'requirepass "{PASSWORD}"\n')
    server = subprocess.Popen([redis_server.find_binary(), config], stdout=subprocess.DEVNULL)

    def listens() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port.number)) == 0

    eventually(listens)
    yield port.number
    server.terminate()
    server.wait(timeout=20)
    port.release()


@pytest.mark.parametrize("user", ["", "default"])
def test_the_right_password_is_let_in(guarded: int, user: str) -> None:
    url = f"redis://{user}:{QUOTED}@127.0.0.1:{guarded}/0"

    assert redis_probe.check(url, wait_s=5) == f"127.0.0.1:{guarded}"


@pytest.mark.parametrize(
    ("login", "says"),
    [
        ("", "wants a password"),
        (":wrong-secret@", "refuses the user or password"),
        ("nobody:wrong-secret@", "refuses the user or password"),
    ],
)
def test_who_is_not_let_in_is_told_at_once(guarded: int, login: str, says: str) -> None:
    with pytest.raises(StartError) as refused:
        redis_probe.check(f"redis://{login}127.0.0.1:{guarded}", wait_s=600)

    assert says in refused.value.message
    assert f"127.0.0.1:{guarded}" in refused.value.message
    assert "wrong-secret" not in refused.value.message


def test_a_port_where_nothing_listens_is_told() -> None:
    port = ReservedPort.reserve(0, "--x")

    with pytest.raises(StartError, match=rf"no Redis answers at 127.0.0.1:{port.number}: Conn"):
        redis_probe.check(f"redis://127.0.0.1:{port.number}", wait_s=0.3)
    port.release()


def test_something_else_at_the_port_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            connection, _ = listening.accept()
            connection.recv(100)
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n")
            connection.close()

        answering = threading.Thread(target=answer)
        answering.start()
        with pytest.raises(StartError, match="what answers is no Redis"):
            redis_probe.check(f"redis://127.0.0.1:{listening.getsockname()[1]}", wait_s=0)
        answering.join()


@pytest.mark.parametrize("url", ["localhost:6379", "http://a:1", "redis://", "redis://a:port/0"])
def test_what_is_no_url_of_a_redis_is_told(url: str) -> None:
    with pytest.raises(StartError, match="--redis must be a URL"):
        redis_probe.check(url, wait_s=0)
