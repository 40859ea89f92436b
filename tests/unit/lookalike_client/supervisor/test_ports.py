"""Reserved ports."""

import socket

import pytest

from lookalike_client.supervisor.errors import StartError
from lookalike_client.supervisor.ports import ReservedPort


def test_a_child_can_listen_on_a_reserved_port_and_again_later() -> None:
    port = ReservedPort.reserve(0, "--x")
    try:
        for _ in range(2):
            with socket.create_server(("127.0.0.1", port.number)) as server:
                with socket.create_connection(("127.0.0.1", port.number)):
                    server.accept()[0].close()
    finally:
        port.release()


def test_nobody_answers_on_a_port_that_is_only_reserved() -> None:
    port = ReservedPort.reserve(0, "--x")
    try:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port.number), timeout=5)
    finally:
        port.release()


def test_a_port_where_somebody_listens_is_refused_with_the_option() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = server.getsockname()[1]

        with pytest.raises(StartError, match=f"port {taken} is in use.*--search-port"):
            ReservedPort.reserve(taken, "--search-port")
