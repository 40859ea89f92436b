"""The logs of a collection's partitions: one Redis stream each, one order for all writers.

An entry's id is its position. One counter a collection gives positions and versions out,
inside the script that appends: so it is the one sequencer, however many servers append,
and positions of one partition have gaps. Each entry names the one before it: a reader that
has another position has missed something, whether that was trimmed or lost.

A Redis that comes back after a crash may have lost its newest entries, which replicas have
applied. Every script therefore says which run of the server it was made for. A writer that
meets another run first asks the replicas how far they are, and raises counter and logs to
that: no position is given out twice.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    NoScriptError,
    OutOfMemoryError,
    RedisError,
    ResponseError,
)
from redis.retry import Retry

from lookalike.wire.errors import Exhausted, InvalidField, Reason, Unavailable
from search_service.cluster import scripts

_TIMEOUT_S = 5.0


class OtherRun(Exception):
    """The server was started anew since the writer last asked the replicas."""

    def __init__(self, run: str) -> None:
        super().__init__(run)
        self.run = run


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry: its position, that of the one before it, and its mutation's bytes."""

    position: int
    before: int
    data: bytes


@dataclass(frozen=True, slots=True)
class LogState:
    """Last position ever given to an entry, and how many entries there are."""

    last: int
    entries: int


def connect(url: str, tls_ca: Path | None = None) -> Redis:
    """Return a client that connects lazily and repeats nothing by itself.

    Raises:
        InvalidField: the URL cannot be read.
    """
    tls: dict[str, Any] = {"ssl_ca_certs": str(tls_ca)} if tls_ca else {}
    try:
        client: Redis = Redis.from_url(
            url,
            protocol=2,
            socket_timeout=_TIMEOUT_S,
            socket_connect_timeout=_TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),
            driver_info=None,
            client_name="lookalike-cluster",
            **tls,
        )
    except ValueError:
        # The library's text may quote the URL, and with it the password.
        raise InvalidField("cluster_log", "must be redis://user:password@host:6379/0") from None
    return client


class CollectionLog:
    """The logs of one collection; methods block and may be called from any thread."""

    def __init__(self, client: Redis, prefix: str, uid: str, partitions: int) -> None:
        self._client = client
        self._partitions = partitions
        # One hash tag: scripts touch counter and streams together.
        self._base = f"{prefix}:{{{uid}}}"
        self._counter = f"{self._base}:positions"
        self._append = client.register_script(scripts.APPEND)
        self._reserve = client.register_script(scripts.RESERVE)
        self._raise = client.register_script(scripts.RAISE)
        self._count = client.register_script(scripts.COUNT)

    def append(self, partition: int, entries: Sequence[bytes], run: str, copies: int = 0) -> int:
        """Append entries, all or none; return the position of the first, others follow it.

        Raises:
            OtherRun: see `raise_to`.
            Exhausted: the server's memory is full.
            Unavailable: it is away, or too few of its replicas have the entries.
        """
        keys = [self._counter, self._stream(partition)]
        arguments: list[str | bytes] = [run, *entries]
        with log_errors():
            if not copies:
                return int(self._append(keys, arguments))
            # WAIT is about what its own connection wrote.
            pipe = self._client.pipeline(transaction=False)
            self._append(keys, arguments, client=pipe)
            pipe.wait(copies, int(_TIMEOUT_S * 500))
            first, with_them = pipe.execute()
        if int(with_them) < copies:
            raise Unavailable(
                "too few replicas of the log's Redis have the change: it may be lost",
                reason=Reason.QUEUE_UNAVAILABLE,
            )
        return int(first)

    def reserve(self, count: int, run: str) -> range:
        """Give out `count` positions that no entry gets.

        Raises:
            OtherRun: see `raise_to`.
            Unavailable: the server is away.
        """
        with log_errors():
            first = int(self._reserve([self._counter], [run, count]))
        return range(first, first + count)

    def raise_to(self, reached: Sequence[int]) -> None:
        """Give out no position up to `reached`, how far each partition's replicas are.

        Raises:
            Unavailable: the server is away.
        """
        streams = [self._stream(partition) for partition in range(self._partitions)]
        with log_errors():
            self._raise([self._counter, *streams], [max(reached), *reached])

    def read(self, partition: int, after: int, count: int, wait_s: float) -> list[Entry]:
        """Return up to `count` entries after a position; wait for the first.

        Raises:
            Unavailable: the server is away.
        """
        stream = self._stream(partition)
        with log_errors():
            found: Any = self._client.xread(
                {stream: f"{after}-{2**63}"}, count, max(1, int(wait_s * 1_000))
            )
        return [] if not found else [_entry(row) for row in found[0][1]]

    def state(self, partition: int) -> LogState:
        """Say how long a log is.

        Raises:
            Unavailable: the server is away.
        """
        with log_errors():
            try:
                info = self._client.xinfo_stream(self._stream(partition))
            except ResponseError as error:
                if "no such key" in str(error):
                    return LogState(0, 0)
                raise
        return LogState(_position(info["last-generated-id"]), info["length"])

    def count_after(self, partition: int, position: int) -> int:
        """Return how many entries follow a position, at most 10,000: more are as bad.

        Raises:
            Unavailable: the server is away.
        """
        with log_errors():
            return int(self._count([self._stream(partition)], [position + 1]))

    def trim(self, partition: int, upto: int) -> int:
        """Forget entries up to a position; return how many.

        Raises:
            Unavailable: the server is away.
        """
        with log_errors():
            return int(
                self._client.xtrim(
                    self._stream(partition), minid=f"{upto + 1}-0", approximate=False
                )
            )

    def ask_for_snapshot(self, partition: int, position: int) -> None:
        """Have a replica that has reached `position` take a snapshot soon."""
        with log_errors():
            self._client.set(f"{self._base}:wanted:{partition}", position)

    def wanted_snapshot(self, partition: int) -> int:
        """Return the position that a snapshot is asked to have reached; 0: none is."""
        with log_errors():
            return int(self._client.get(f"{self._base}:wanted:{partition}") or 0)

    def snapshot_taken(self, partition: int, position: int) -> None:
        """Note that a snapshot of that position lies in shared storage."""
        with log_errors():
            if 0 < self.wanted_snapshot(partition) <= position:
                self._client.delete(f"{self._base}:wanted:{partition}")

    @contextlib.contextmanager
    def turn(self, name: str, lasts_s: float) -> Iterator[bool]:
        """Hold what one process at a time may do; False where another does it."""
        key = f"{self._base}:turn:{name}"
        with log_errors():
            mine = bool(self._client.set(key, b"1", nx=True, px=int(lasts_s * 1_000)))
        try:
            yield mine
        finally:
            if mine:
                with contextlib.suppress(Unavailable), log_errors():
                    self._client.delete(key)

    def start_at(self, position: int) -> None:
        """Begin a new collection's logs after a position, where snapshots hold the rest."""
        self.raise_to([position] * self._partitions)

    def remove(self) -> None:
        """Forget everything of the collection."""
        streams = [self._stream(partition) for partition in range(self._partitions)]
        wanted = [f"{self._base}:wanted:{partition}" for partition in range(self._partitions)]
        with log_errors():
            self._client.delete(self._counter, *streams, *wanted)

    def _stream(self, partition: int) -> str:
        return f"{self._base}:log:{partition}"


@contextlib.contextmanager
def log_errors() -> Iterator[None]:
    """Raise what the client says as ours.

    Raises:
        OtherRun, Exhausted, Unavailable.
    """
    try:
        yield
    except OutOfMemoryError as error:
        raise Exhausted("the log is full: write more slowly", retry_delay_s=5.0) from error
    except (RedisError, OSError) as error:
        if isinstance(error, ResponseError) and (run := re.match(r"OTHERRUN (\w+)", str(error))):
            raise OtherRun(run[1]) from None
        if isinstance(error, ResponseError) and not isinstance(
            error, NoScriptError | AuthenticationError
        ):
            if "OOM" in str(error):
                raise Exhausted("the log is full: write more slowly", retry_delay_s=5.0) from error
            if not re.match(r"(LOADING|READONLY|MASTERDOWN|NOAUTH|MISCONF|BUSY)", str(error)):
                raise
        raise Unavailable(
            "the log of the cluster cannot be reached",
            reason=Reason.QUEUE_UNAVAILABLE,
            retry_delay_s=1.0,
        ) from error


def _entry(row: tuple[bytes, dict[bytes, bytes]]) -> Entry:
    return Entry(_position(row[0]), int(row[1][b"b"]), row[1][b"m"])


def _position(entry_id: bytes) -> int:
    return int(entry_id.split(b"-")[0])
