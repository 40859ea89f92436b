"""The logs of a collection's partitions: one Redis stream each, one order for all writers.

An entry's id is its position. One counter a collection gives positions and versions out,
inside the script that appends: so it is the one sequencer, however many servers append,
and positions of one partition have gaps. Each entry names the one before it: a reader that
has another position has missed something, whether that was trimmed or lost.

A Redis that comes back after a crash, from a copy, or empty may have lost its newest
entries, which replicas have applied. The log therefore says which run of the server it was
prepared for, and scripts refuse to work in another. A writer that meets another run first
asks the replicas how far they are. It lifts the logs to that, so that a replica which is
behind knows it; and the counter skips more than can have been lost, since of versions that
were given out, and of a replica that is away, nobody tells: no position is given out twice.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from redis.exceptions import ResponseError

from lookalike.wire.errors import Exhausted, Reason, Unavailable
from search_service.cluster import scripts
from search_service.cluster.connection import OtherRun, log_errors

if TYPE_CHECKING:
    from redis import Redis

# How long replicas of Redis may take to have an entry.
_COPIED_WITHIN_S = 2.5
# Positions that are left out after a loss: what a server gives out in the seconds that it may
# not have on its disk is far less, and 2**53 has nine million of these.
_SKIPPED = 1_000_000_000


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


class CollectionLog:
    """The logs of one collection; methods block and may be called from any thread."""

    def __init__(self, client: Redis, prefix: str, uid: str, partitions: int) -> None:
        self._client = client
        self._partitions = partitions
        # One hash tag: scripts touch counter and streams together.
        self._base = f"{prefix}:{{{uid}}}"
        self._counter = [f"{self._base}:positions", f"{self._base}:run"]
        self._append = client.register_script(scripts.APPEND)
        self._reserve = client.register_script(scripts.RESERVE)
        self._prepare = client.register_script(scripts.PREPARE)
        self._lift = client.register_script(scripts.LIFT)
        self._last = client.register_script(scripts.LAST)
        self._count = client.register_script(scripts.COUNT)
        self._release = client.register_script(scripts.RELEASE)

    def append(self, partition: int, entries: Sequence[bytes], copies: int = 0) -> int:
        """Append entries, all or none; return the position of the first, others follow it.

        Raises:
            OtherRun: see `prepare`.
            Exhausted: the server's memory is full.
            Unavailable: it is away, or too few of its replicas have the entries.
        """
        keys = [*self._counter, self._stream(partition)]
        with log_errors():
            if not copies:
                return int(self._append(keys, entries))
            # WAIT is about what its own connection wrote.
            pipe = self._client.pipeline(transaction=False)
            self._append(keys, entries, client=pipe)
            pipe.wait(copies, int(_COPIED_WITHIN_S * 1_000))
            first, with_them = pipe.execute()
        if int(with_them) < copies:
            raise Unavailable(
                "too few replicas of the log's Redis have the change: it may be lost",
                reason=Reason.QUEUE_UNAVAILABLE,
            )
        return int(first)

    def reserve(self, count: int) -> range:
        """Give out `count` positions that no entry gets.

        Raises:
            OtherRun: see `prepare`.
            Unavailable: the server is away.
        """
        with log_errors():
            first = int(self._reserve(self._counter, [count]))
        return range(first, first + count)

    def prepare(self, run: str, reached: Sequence[int]) -> None:
        """Go on in another run of the server, past `reached`, how far each partition's
        replicas are.

        Raises:
            OtherRun: it is started anew again.
            Unavailable: the server is away.
        """
        self._prepare_for(run, reached, _SKIPPED)

    def is_prepared(self) -> bool:
        """Say whether this run of the server has the log as writers prepared it.

        Raises:
            Unavailable: the server is away.
        """
        try:
            self.ends(0)
        except OtherRun:
            return False
        return True

    def ends(self, partition: int) -> tuple[int, int]:
        """Return the last position of a partition and of the collection, where nothing can be
        missing.

        Raises:
            OtherRun: the server may have lost what came last.
            Unavailable: the server is away.
        """
        with log_errors():
            last, given = self._last([*self._counter, self._stream(partition)])
        return int(last), int(given)

    def lift(self, partition: int, position: int) -> None:
        """Have readers know that there was a position that the log lost, if it has none after.

        Raises:
            OtherRun: see `prepare`.
            Unavailable: the server is away.
        """
        with log_errors():
            self._lift([*self._counter, self._stream(partition)], [position])

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

    def fullness(self) -> float:
        """Return the share of its memory that the server has in use; 0 where it has no bound.

        Raises:
            Unavailable: the server is away.
        """
        with log_errors():
            memory = self._client.info("memory")
        bound = int(memory.get("maxmemory", 0))
        return int(memory["used_memory"]) / bound if bound else 0.0

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

    def ask_for_snapshot(self, partition: int, position: int, doubted: str = "") -> None:
        """Have a replica that has reached `position` take a snapshot soon; `doubted` is the
        archive of one that was found damaged."""
        with log_errors():
            self._client.set(f"{self._base}:wanted:{partition}", position)
            if doubted:
                self._client.set(f"{self._base}:doubted:{partition}", doubted)

    def wanted_snapshot(self, partition: int) -> int:
        """Return the position that a snapshot is asked to have reached; 0: none is."""
        with log_errors():
            return int(self._client.get(f"{self._base}:wanted:{partition}") or 0)

    def doubted_snapshot(self, partition: int) -> str:
        """Return the archive that somebody found damaged; "": none is."""
        with log_errors():
            found: Any = self._client.get(f"{self._base}:doubted:{partition}")
        return (found or b"").decode()

    def snapshot_taken(self, partition: int, position: int) -> None:
        """Note that a snapshot of that position lies in shared storage, and is whole."""
        with log_errors():
            self._client.delete(f"{self._base}:doubted:{partition}")
            if 0 < self.wanted_snapshot(partition) <= position:
                self._client.delete(f"{self._base}:wanted:{partition}")

    @contextlib.contextmanager
    def turn(self, name: str, lasts_s: float, *, needed: bool = False) -> Iterator[bool]:
        """Hold what one process at a time may do; False where another does it.

        What is `needed` to make room on a full server is done by all, since nothing can be
        noted there.
        """
        key, mark = f"{self._base}:turn:{name}", secrets.token_hex(8)
        try:
            with log_errors():
                mine = bool(self._client.set(key, mark, nx=True, px=int(lasts_s * 1_000)))
        except Exhausted:
            if not needed:
                raise
            mine = True
        try:
            yield mine
        finally:
            if mine:  # or it was over, and is another's by now
                with contextlib.suppress(Unavailable), log_errors():
                    self._release([key], [mark])

    def start_at(self, position: int) -> None:
        """Begin a new collection's logs after a position, where snapshots hold the rest."""
        self._prepare_for("", [position] * self._partitions, 0)

    def remove(self) -> None:
        """Forget everything of the collection."""
        names = [self._stream(partition) for partition in range(self._partitions)]
        for kind in ("wanted", "doubted"):
            names += [f"{self._base}:{kind}:{partition}" for partition in range(self._partitions)]
        with log_errors():
            self._client.delete(*self._counter, *names)

    def _prepare_for(self, run: str, reached: Sequence[int], skipped: int) -> None:
        streams = [self._stream(partition) for partition in range(self._partitions)]
        with log_errors():
            self._prepare([*self._counter, *streams], [run, skipped, *reached])

    def _stream(self, partition: int) -> str:
        return f"{self._base}:log:{partition}"


def _entry(row: tuple[bytes, dict[bytes, bytes]]) -> Entry:
    return Entry(_position(row[0]), int(row[1][b"b"]), row[1][b"m"])


def _position(entry_id: bytes) -> int:
    return int(entry_id.split(b"-")[0])
