"""The server's end of the socket to a decode process.

One reader stands for as long as the socket does: `sock_recv` and a timeout of
asyncio's for each message cost a quarter of the event loop's time under load.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from typing import Any

from embedder_service.decode.exchange import MAX_MESSAGE_BYTES, unpack


class Line:
    """Packets to and from one process; one receiver at a time."""

    def __init__(self, connection: socket.socket) -> None:
        """Take over `connection`, one end of a SOCK_SEQPACKET pair."""
        connection.setblocking(False)
        self._connection = connection
        self._loop = asyncio.get_running_loop()
        self._arrived: deque[bytes] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._loop.add_reader(connection, self._read)

    def send(self, packet: bytes) -> None:
        """Send one packet.

        Raises:
            OSError: the process is gone, or has not read what was sent before.
        """
        self._connection.send(packet)

    async def receive(self, patience_s: float) -> dict[str, Any]:
        """Return the next message.

        Raises:
            TimeoutError: there is none for `patience_s`.
            EOFError: the process is gone.
            BrokenMessage: it is no message.
        """
        if not self._arrived:
            self._waiter = self._loop.create_future()
            alarm = self._loop.call_later(patience_s, self._give_up, self._waiter)
            try:
                await self._waiter
            finally:
                alarm.cancel()
                self._waiter = None
        body = self._arrived.popleft()
        if not body:
            self._arrived.append(b"")  # the end stays the end
            raise EOFError
        return unpack(body)

    def close(self) -> None:
        """Stop reading; a receiver that waits gets EOFError."""
        self._loop.remove_reader(self._connection)
        self._connection.close()
        self._arrived.append(b"")
        self._wake()

    def _read(self) -> None:
        try:
            body = self._connection.recv(MAX_MESSAGE_BYTES)
        except BlockingIOError:
            return
        except OSError:
            body = b""
        if not body:
            self._loop.remove_reader(self._connection)
        self._arrived.append(body)
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    @staticmethod
    def _give_up(waiter: asyncio.Future[None]) -> None:
        if not waiter.done():
            waiter.set_exception(TimeoutError())
