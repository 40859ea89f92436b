"""Submissions while every process is killed or stopped, and what came of it."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass, field

from lookalike.v1 import ingest_pb2
from tests.integration.ingest.caller import Caller, caller
from tests.integration.ingest.embedder_stub import vector_of
from tests.integration.ingest.model import expected, random_operations
from tests.integration.ingest.system import Program, System
from tests.integration.ingest.valkey import Valkey

State = dict[str, tuple[bytes, str]]


@dataclass
class Report:
    """What was wanted and what there is in the end.

    `hard_errors` are what a caller that retries UNAVAILABLE saw during orderly stops.
    """

    wanted: State = field(default_factory=dict)
    got: State = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    exit_codes: list[int] = field(default_factory=list)
    stop_times_s: list[float] = field(default_factory=list)
    hard_errors: list[str] = field(default_factory=list)


async def storm(
    system: System, operations: int, ids: int, *, kills: int, stops: int, seed: int = 7
) -> Report:
    """Kill each process `kills` times and stop each of ours `stops` times while a
    part of the operations is being submitted each time."""
    source = random.Random(seed)
    planned = random_operations(source, operations, ids)
    blows: list[tuple[str, Program | Valkey]] = [
        ("kill", process) for process in (*system.programs, system.valkey) for _ in range(kills)
    ]
    blows += [("stop", program) for program in system.programs for _ in range(stops)]
    source.shuffle(blows)
    report = Report()
    part = -(-operations // len(blows))
    async with caller(system.search_address) as one:
        await one.create()
        for number, (what, process) in enumerate(blows):
            errors_before = len(one.hard_errors)
            mine = planned[number * part : (number + 1) * part]
            submitting = asyncio.create_task(one.submit(mine))
            await asyncio.sleep(source.random() * 0.2)
            await asyncio.to_thread(_strike, what, process, report)
            await submitting
            if what == "stop":
                report.hard_errors += one.hard_errors[errors_before:]
        await _settle(one, report)
    report.wanted = {
        item_id: (vector_of(picture), value)
        for item_id, (picture, value) in expected(planned).items()
    }
    return report


def _strike(what: str, process: Program | Valkey, report: Report) -> None:
    if what == "kill":
        process.kill()
    elif isinstance(process, Program):
        start_s = time.monotonic()
        report.exit_codes.append(process.terminate())
        report.stop_times_s.append(time.monotonic() - start_s)
    process.start()


async def _settle(one: Caller, report: Report) -> None:
    await one.drained(300.0)
    failures = await one.ingest.ListFailures(ingest_pb2.ListFailuresRequest(page_size=1000))
    report.failures = [f"{failure.id}: {failure.error.message}" for failure in failures.failures]
    report.got = await one.items()
