"""Writes of a front: into the logs in order, then acknowledged by enough replicas."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import ParamSpec, TypeVar

from lookalike.wire.errors import Exhausted, LookalikeError, Reason, Unavailable
from search_service.cluster.entries import encode_mutation
from search_service.cluster.fanout import NO_ANSWER, Partition
from search_service.cluster.layout import divide
from search_service.cluster.log import CollectionLog, OtherRun
from search_service.domain.mutations import Mutation, MutationOutcome, MutationStatus

_log = logging.getLogger(__name__)

# Changes under way in one collection at a front: as many as wait for a shard's writer.
_MOST_UNDER_WAY = 50_000
# For the replicas to say how far they are, after the log's server was started anew.
_POSITIONS_S = 5.0
_ASK_AGAIN_S = 0.1


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
    ) -> None:
        """`pool` runs what talks to the log, which blocks."""
        self._log = log
        self._partitions = partitions
        self._options = options
        self._pool = pool
        # First come, first served: the order of a stream's messages is that of the log.
        self._turns = [asyncio.Lock() for _ in partitions]
        self._run_turn = asyncio.Lock()
        self._run = "unknown"
        self._under_way = 0
        # The last entry of each partition that this front has acknowledged: its reads see it.
        self.acknowledged = [0] * len(partitions)

    async def submit(self, mutations: Sequence[Mutation]) -> list[MutationOutcome]:
        """Log and acknowledge mutations; outcomes in their order.

        Raises:
            Exhausted: too many are under way, or the log is full.
            Unavailable: the log is away, or too few replicas have stored them in time. They
                may be stored all the same, then or later.
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
        while True:
            try:
                return await self._in_thread(self._log.reserve, count, self._run)
            except OtherRun as error:
                await self._meet_run(error.run)

    async def _submit_part(
        self, number: int, mutations: Sequence[Mutation]
    ) -> list[MutationOutcome]:
        entries = [encode_mutation(mutation) for mutation in mutations]
        async with self._turns[number]:
            first = await self._append(number, entries)
        positions = range(first, first + len(entries))
        outcomes = await self._stored(number, positions)
        self.acknowledged[number] = max(self.acknowledged[number], positions[-1])
        return [
            replace(outcome or _forgotten(mutation, position), position=position)
            for outcome, mutation, position in zip(outcomes, mutations, positions, strict=True)
        ]

    async def _append(self, number: int, entries: Sequence[bytes]) -> int:
        while True:
            try:
                return await self._in_thread(
                    self._log.append, number, entries, self._run, self._options.copies
                )
            except OtherRun as error:
                await self._meet_run(error.run)

    async def _meet_run(self, run: str) -> None:
        """Have the log give out nothing that replicas have, after its server's new start."""
        async with self._run_turn:
            if run == self._run:
                return
            reached = await asyncio.gather(*(self._farthest(each) for each in self._partitions))
            await self._in_thread(self._log.raise_to, reached)
            self._run = run

    async def _farthest(self, partition: Partition) -> int:
        """Return the greatest position of a partition's replicas.

        Of those that answer: an acknowledged change is on at least one of them, unless all
        that have it are gone.
        """
        until_s = time.monotonic() + _POSITIONS_S
        while True:
            left_s = max(0.01, until_s - time.monotonic())
            asked = await partition.ask_all("reached", within_s=left_s)
            answers = [answer for answer in asked if answer is not NO_ANSWER]
            if len(answers) == len(asked) or (answers and time.monotonic() >= until_s):
                return int(max(answers))
            if time.monotonic() >= until_s:
                raise _too_few(partition.number)
            await asyncio.sleep(_ASK_AGAIN_S)

    async def _stored(self, number: int, positions: range) -> list[MutationOutcome | None]:
        """Wait until enough replicas have stored entries; return what they led to."""
        partition = self._partitions[number]
        enough = min(self._options.replicas, len(partition.replicas))
        until_s = time.monotonic() + self._options.timeout_s
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
        while (left_s := until_s - time.monotonic()) > 0:
            call = partition.replicas[replica].call("stored", positions)
            try:
                async with asyncio.timeout(left_s):
                    told: list[MutationOutcome | None] = await asyncio.wrap_future(call)
                    return told
            except TimeoutError:
                return None
            except Exception as error:  # noqa: BLE001 - whatever it is, the replica has not stored
                _log.debug("a replica does not say what it stored: %s", error)
                await asyncio.sleep(min(_ASK_AGAIN_S, left_s))
        return None

    async def _in_thread(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        call = partial(function, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._pool, call)


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
