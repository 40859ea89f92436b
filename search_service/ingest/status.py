"""How much waits in the queue and how its workers do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lookalike.serving.queue import scripts
from lookalike.serving.queue.connection import queue_errors
from lookalike.serving.queue.keys import GROUP, LANES

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from lookalike.serving.queue.keys import QueueKeys


@dataclass(frozen=True, slots=True)
class WorkerState:
    """A worker's last sign of life; times in seconds."""

    name: str
    heartbeat_age_s: float
    paused_reason: str
    finished: int
    failed: int
    rate_per_second: float
    stage_mean_s: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class QueueState:
    """The queue at a moment.

    `lag` is None where it is not known. Entries leave the stream when they are
    acknowledged, so it has in it what is pending and what no worker has read;
    Redis' own `lag` is null once an entry was deleted.
    `ended` is how many have ended that the ledger does not know of yet.
    """

    depth: int
    lag: int | None
    pending: int
    oldest_age_s: float | None
    failures: int
    counted_bytes: int
    now_ms: int
    ended: int


async def read_queue(client: Redis, keys: QueueKeys) -> QueueState:
    """Read the state of the queue.

    Raises:
        Unavailable: it cannot be reached.
    """
    with queue_errors():
        answer = await client.eval(
            scripts.STATUS,
            3 + LANES,
            keys.stream_bytes,
            keys.dead,
            keys.ended,
            *keys.lanes,
            GROUP,
        )
    depth, counted, failures, pending, now_ms, oldest, ended = answer
    age_s = max(0, now_ms - int(oldest.split(b"-")[0])) / 1000 if oldest else None
    return QueueState(
        depth=depth,
        # More pending than there is: someone else took entries out. Unknown, not 0.
        lag=depth - pending if depth >= pending else None,
        pending=pending,
        oldest_age_s=age_s,
        failures=failures,
        counted_bytes=counted,
        now_ms=now_ms,
        ended=ended,
    )


async def read_workers(client: Redis, keys: QueueKeys, now_ms: int) -> list[WorkerState]:
    """Read the signs of life of the group's consumers, by name.

    Raises:
        Unavailable: the queue cannot be reached.
    """
    with queue_errors():
        lanes = client.pipeline(transaction=False)
        for stream in keys.lanes:
            lanes.xinfo_consumers(stream, GROUP)
        # A lane without a group, after the server came back empty, has no consumers yet.
        told = [one for one in await lanes.execute(raise_on_error=False) if isinstance(one, list)]
        names = sorted({consumer["name"].decode() for one in told for consumer in one})
        pipeline = client.pipeline(transaction=False)
        for name in names:
            pipeline.hgetall(keys.worker(name))
        answers = await pipeline.execute()
    return [
        _worker(name, answer, now_ms) for name, answer in zip(names, answers, strict=True) if answer
    ]


def _worker(name: str, beat: Mapping[bytes, bytes], now_ms: int) -> WorkerState:
    stages = {
        stage.removeprefix(b"stage:").decode(): float(seconds)
        for stage, seconds in beat.items()
        if stage.startswith(b"stage:")
    }
    return WorkerState(
        name=name,
        heartbeat_age_s=max(0, now_ms - int(beat.get(b"time_ms", now_ms))) / 1000,
        paused_reason=beat.get(b"paused_reason", b"").decode(),
        finished=int(beat.get(b"finished", 0)),
        failed=int(beat.get(b"failed", 0)),
        rate_per_second=float(beat.get(b"rate_per_second", 0)),
        stage_mean_s=stages,
    )
