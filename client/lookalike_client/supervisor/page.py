"""The page as a part of a system."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import sys
from pathlib import Path

from lookalike_client.supervisor.child import ChildSpec
from lookalike_client.supervisor.errors import StartError
from lookalike_client.supervisor.ports import HOST, ReservedPort

DEFAULT_PAGE_PORT = 8088
# Stands for the default port where it is free, and for any other where it is not.
USUAL_PORT = -1
_GRACE_S = 6.0


def page_port(number: int) -> ReservedPort:
    """Reserve the page's port.

    Raises:
        StartError: it was named, and is in use.
    """
    if number == USUAL_PORT:
        with contextlib.suppress(StartError):
            return ReservedPort.reserve(DEFAULT_PAGE_PORT, "--web-port")
        number = 0
    return ReservedPort.reserve(number, "--web-port")


def page_token(data: Path) -> str:
    """Return the token of a data directory's page, which is made at the first start.

    Raises:
        StartError: it can be neither read nor written.
    """
    path = data / "web-token"
    try:
        with contextlib.suppress(FileExistsError):
            made = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(made, "w") as file:
                file.write(secrets.token_urlsafe(32))
        token = path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise StartError(f"the page's token cannot be kept: {error.strerror}") from error
    if not token:
        raise StartError("the file web-token of the data directory is empty: remove it")
    return token


def page_link(address: str, token: str) -> str:
    """Return the link that opens the page."""
    return f"http://{address}/?token={token}"


def page_spec(port: ReservedPort, search: str, token: str) -> ChildSpec:
    """Return how the page is served."""
    command = [
        *(sys.executable, "-m", "lookalike_client", "web"),
        *("--address", search, "--port", str(port.number)),
    ]
    return ChildSpec(
        name="web",
        command=command,
        ready=lambda: _listens(port.number),
        after=("search",),
        # Not on the command line, which everybody can read.
        environment={"LOOKALIKE_WEB_TOKEN": token},
        grace_s=_GRACE_S,
    )


def _listens(port: int) -> bool:
    try:
        with socket.create_connection((HOST, port), timeout=1.0):
            return True
    except OSError:
        return False
