"""Writes of a front: into the logs in order, then acknowledged by enough replicas."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ParamSpec, TypeVar

from lookalike.wire.errors import Exhausted, LookalikeError, Reason, Unavailable
from search_service.cluster.connection import OtherRun
from search_service.cluster.entries import encode_mutation
from search_service.cluster.fanout import NO_ANSWER, Partition
from search_service.cluster.layout import divide
from search_service.cluster.log import CollectionLog
from search_service.domain.mutations import Mutation, MutationOutcome, MutationStatus

_log = logging.getLogger(__name__)

# Changes under way in one collection at a front: as many as wait for a shard's writer.
_MOST_UNDER_WAY = 50_000
# For the replicas to say how far they are, after the log's server was started anew.
_POSITIONS_S = 5.0
_ASK_AGAIN_S = 0.1
# How often in a row the log's server may be another one than was just asked about.
_MOST_RUNS = 5
# Calls that wait at a replica for what it has not stored yet, and how long one does: a replica
# that is stuck must not be filled with them, since others wait for none of it.
_MOST_WAITING, _WAITS_S = 32, 5.0
# As many mutations are encoded where they are, on the loop; more, beside it.
_FEW = 8
# For replicas that were behind to have caught up.
_CATCHES_UP_S = 1.0


P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """How many replicas have stored a change before it is acknowledged, within how long;
    how many replicas of Redis have it."""

    replicas: int
    timeout_s: float
    copies: int


class Appender:
    """Writes to one collection; used on one event loop."""

    def __init__(
        self,
        log: CollectionLog,
        partitions: Sequence[Partition],
        options: WriteOptions,
        pool: ThreadPoolExecutor,
        *,
        snapshot_of: Callable[[int], int],
    ) -> None:
        """`pool` runs what talks to the log, which blocks; `snapshot_of` says which position
        the newest snapshot of a partition has reached, and blocks too."""
        self._log = log
        self._snapshot_of = snapshot_of
        self._partitions = partitions
        self._options = options
        self._pool = pool
        # First come, first served: the order of a stream's messages is that of the log.
        self._turns = [asyncio.Lock() for _ in partitions]
        self._run_turn = asyncio.Lock()
        self._waiting = [
            [asyncio.Semaphore(_MOST_WAITING) for _ in partition.replicas]
            for partition in partitions
        ]
        self._under_way = 0
        # An entry that too few replicas had stored in time, 0 for none. Nothing more is logged
        # until they have: what is refused is sent again, and the log would grow without end.
        self._behind = [0] * len(partitions)
        # The last entry of each partition that this front has acknowledged: its reads see it.
        self.acknowledged = [0] * len(partitions)

    async def submit(self, mutations: Sequence[Mutation]) -> list[MutationOutcome]:
        """Log and acknowledge mutations; outcomes in their order.

        Raises:
            Exhausted: too many are under way, or the log is full.
            Unavailable: the log is away, or too few replicas have stored them in time. They
                may be stored all the same, then or later, unless the replicas are known to be
                behind.
        """
        if self._under_way and self._under_way + len(mutations) > _MOST_UNDER_WAY:
            raise Exhausted("too many writes wait for the replicas: send fewer at a time")
        self._under_way += len(mutations)
        try:
            divided = divide(mutations, lambda mutation: mutation.id, len(self._partitions))
            parts = [
                asyncio.ensure_future(self._submit_part(number, [each for _, each in pairs]))
                for number, pairs in divided.items()
            ]
            results = await asyncio.gather(*parts, return_exceptions=True)
        finally:
            self._under_way -= len(mutations)
        outcomes: list[MutationOutcome | None] = [None] * len(mutations)
        for pairs, result in zip(divided.values(), results, strict=True):
            if isinstance(result, BaseException) and not isinstance(result, LookalikeError):
                raise result
            for index, (place, mutation) in enumerate(pairs):
                outcomes[place] = (
                    MutationOutcome(mutation.id, None, mutation.version, error=result)
                    if isinstance(result, LookalikeError)
                    else result[index]
                )
        if len(results) == 1 and isinstance(results[0], LookalikeError):
            raise results[0]
        return [outcome for outcome in outcomes if outcome is not None]

    async def reserve(self, count: int) -> range:
        """Give out versions that are greater than any before.

        Raises:
            Unavailable: the log is away, or a partition without replicas has to be asked.
        """
        return await self._logged(self._log.reserve, count)

    async def look_at_run(self) -> None:
        """Prepare the log for another run of its server, if there is one, before anybody writes:
        replicas that lack what it lost know of it then.

        Raises:
            Unavailable: as `reserve`.
        """
        if not await self._in_thread(self._log.is_prepared):
            await self._meet_run()

    async def _submit_part(
        self, number: int, mutations: Sequence[Mutation]
    ) -> list[MutationOutcome]:
        entries = (
            _encode(mutations)
            if len(mutations) <= _FEW
            else await self._in_thread(_encode, mutations)
        )
        await self._check_not_behind(number)
        async with self._turns[number]:
            first = await self._logged(self._log.append, number, entries, self._options.copies)
        positions = range(first, first + len(entries))
        try:
            outcomes = await self._stored(number, positions, self._options.timeout_s)
        except Unavailable:
            self._behind[number] = positions[-1]
            raise
        self.acknowledged[number] = max(self.acknowledged[number], positions[-1])
        return [
            replace(outcome or _forgotten(mutation, position), position=position)
            for outcome, mutation, position in zip(outcomes, mutations, positions, strict=True)
        ]

    async def _check_not_behind(self, number: int) -> None:
        position = self._behind[number]
        if not position:
            return
        try:
            await self._stored(number, range(position, position + 1), _CATCHES_UP_S)
        except Unavailable:
            raise Unavailable(
                f"the replicas of partition {number} are behind in its log, and the change is not "
                "taken: try again",
                reason=Reason.PARTITION_UNAVAILABLE,
                retry_delay_s=1.0,
            ) from None
        if self._behind[number] == position:
            self._behind[number] = 0

    async def _logged(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        for _ in range(_MOST_RUNS):
            try:
                return await self._in_thread(function, *args, **kwargs)
            except OtherRun:
                await self._meet_run()
        raise Unavailable(
            "the log's server is started again and again",
            reason=Reason.QUEUE_UNAVAILABLE,
            retry_delay_s=1.0,
        )

    async def _meet_run(self) -> None:
        """Have the log give out nothing that replicas have, after its server's new start."""
        async with self._run_turn:
            try:
                await self._in_thread(self._log.ends, 0)
            except OtherRun as error:
                reached = await asyncio.gather(*map(self._farthest, self._partitions))
                with contextlib.suppress(OtherRun):  # whoever called meets that one
                    await self._in_thread(self._log.prepare, error.run, reached)

    async def _farthest(self, partition: Partition) -> int:
        """Return the greatest position of a partition's replicas and snapshots.

        Of those that answer: one that is away and has more finds out itself (`following.py`).
        """
        snapshot = await self._in_thread(self._snapshot_of, partition.number)
        until_s = time.monotonic() + min(_POSITIONS_S, self._options.timeout_s)
        while True:
            left_s = max(0.01, until_s - time.monotonic())
            asked = await partition.ask_all("reached", within_s=left_s)
            answers = [answer for answer in asked if answer is not NO_ANSWER]
            if len(answers) == len(asked) or (answers and time.monotonic() >= until_s):
                return int(max(snapshot, *answers))
            if time.monotonic() >= until_s:
                raise _too_few(partition.number)
            await asyncio.sleep(_ASK_AGAIN_S)

    async def _stored(
        self, number: int, positions: range, within_s: float
    ) -> list[MutationOutcome | None]:
        """Wait until enough replicas have stored entries; return what they led to."""
        partition = self._partitions[number]
        enough = min(self._options.replicas, len(partition.replicas))
        until_s = time.monotonic() + within_s
        waits = {
            asyncio.ensure_future(self._stored_by(partition, replica, positions, until_s))
            for replica in range(len(partition.replicas))
        }
        outcomes: list[MutationOutcome | None] | None = None
        having = 0
        try:
            while waits and having < enough:
                done, waits = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
                for each in done:
                    told = each.result()
                    if told is not None:
                        having += 1
                        outcomes = told if outcomes is None or None in outcomes else outcomes
        finally:
            for each in waits:
                each.cancel()
        if outcomes is None or having < enough:
            raise _too_few(number)
        return outcomes

    async def _stored_by(
        self, partition: Partition, replica: int, positions: range, until_s: float
    ) -> list[MutationOutcome | None] | None:
        """Wait for one replica, through its restarts; None: it is not there in time."""
        places = self._waiting[partition.number][replica]
        while (left_s := until_s - time.monotonic()) > 0:
            try:
                async with asyncio.timeout(left_s):
                    await places.acquire()
            except TimeoutError:
                return None
            call = partition.replicas[replica].call("stored", positions, min(left_s, _WAITS_S))
            asked = asyncio.wrap_future(call)
            # Its place is taken until the replica answers, whether or not anybody waits for it.
            asked.add_done_callback(lambda done: _give_back(done, places))
            await asyncio.wait({asked}, timeout=left_s)
            if not asked.done():
                return None
            failure = asked.exception()
            if failure is None:
                told: list[MutationOutcome | None] = asked.result()
                return told
            _log.debug("a replica does not say what it stored: %s", failure)
            await asyncio.sleep(min(_ASK_AGAIN_S, left_s))
        return None

    async def _in_thread(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        call = partial(function, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._pool, call)


def _encode(mutations: Sequence[Mutation]) -> list[bytes]:
    return [encode_mutation(mutation) for mutation in mutations]


def _give_back(asked: asyncio.Future[Any], places: asyncio.Semaphore) -> None:
    if not asked.cancelled():
        asked.exception()  # it was seen, if by nobody else
    places.release()


def _forgotten(mutation: Mutation, position: int) -> MutationOutcome:
    """Return what is known of an entry whose replica was started anew since: it is stored."""
    return MutationOutcome(mutation.id, MutationStatus.APPLIED, mutation.version or position)


def _too_few(number: int) -> Unavailable:
    return Unavailable(
        f"too few replicas of partition {number} have stored the change: it may be stored later; "
        "send it again",
        reason=Reason.PARTITION_UNAVAILABLE,
        retry_delay_s=1.0,
    )
