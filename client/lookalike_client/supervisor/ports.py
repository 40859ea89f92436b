"""Ports that stay ours from before a child starts until the system stops."""

from __future__ import annotations

import errno
import socket
from typing import Self

from lookalike_client.supervisor.errors import StartError

HOST = "127.0.0.1"


class ReservedPort:
    """A loopback port, bound but not listening.

    With SO_REUSEADDR on both sides a child (gRPC and Redis set it) may bind and
    listen on it, while the kernel gives it to nobody else: neither between our
    choice and the child's start nor while a child is restarted.
    """

    def __init__(self, number: int, bound: socket.socket) -> None:
        self.number = number
        self._bound = bound

    @classmethod
    def reserve(cls, number: int, option: str) -> Self:
        """Reserve port `number`, or a free one for 0.

        Raises:
            StartError: it is in use, or not ours to take; `option` sets another.
        """
        bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind((HOST, number))
        except OSError as error:
            bound.close()
            why = "is in use" if error.errno == errno.EADDRINUSE else "cannot be used"
            raise StartError(
                f"port {number} {why}: choose another with {option}, or 0 for a free one"
            ) from error
        return cls(bound.getsockname()[1], bound)

    @property
    def address(self) -> str:
        """The address that a client connects to."""
        return f"{HOST}:{self.number}"

    def release(self) -> None:
        """Release the port."""
        self._bound.close()
