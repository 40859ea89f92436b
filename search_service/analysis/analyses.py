"""Runs analyses in child processes, few at a time.

    DATA/analysis/ID    the directory of one that runs; removed when it ends
    DATA/resumable      what some that did not end have found: see `checkpoint.py`

A child runs below the server: it has what processor time the searches leave.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import shutil
import sys
import uuid
from collections import deque
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import orjson

from lookalike.wire.errors import Exhausted, InvalidField, Reason, StoreDamaged, Unavailable
from search_service.analysis.jobs import AnalysisJob, Kind, Part, Progress
from search_service.catalog.catalog import Catalog
from search_service.catalog.collection import Collection
from search_service.domain.arrays import I64
from search_service.durable_files import remove_tree
from search_service.priority import NICE
from search_service.shard.opening import SEGMENTS
from search_service.shard.shard import STORE

_log = logging.getLogger(__name__)

# Each holds a copy of the vectors on the disk and works on all cores it is given.
MOST_RUNNING = 2
# The longest line of a child: a part of an answer.
_LINE_BYTES = 64 << 20
_LINES_KEPT = 20
# A spawned interpreter that imports what this one can, whatever put it on the path.
_BOOT = (
    "import json, os, sys; sys.path[:] = json.loads(sys.argv[1]); os.nice(int(sys.argv[2]));"
    "from search_service.analysis.child import main; main()"
)


class Analyses:
    """Starts analyses and follows them; used on the event loop alone."""

    def __init__(self, root: Path, catalog: Catalog, *, threads: int) -> None:
        """Work below data directory `root`, each analysis on `threads` threads."""
        self._directory = root / "analysis"
        self._kept = root / "resumable"
        self._catalog = catalog
        self._threads = threads
        self._running: set[asyncio.subprocess.Process] = set()
        self._started = 0
        self._closed = False

    def open(self) -> None:
        """Remove what a crash left.

        Raises:
            OSError: the directory cannot be used.
        """
        if self._directory.exists():
            remove_tree(self._directory)
        self._directory.mkdir()

    async def close(self) -> None:
        """End what runs; its callers get NOT_READY."""
        self._closed = True
        running = list(self._running)
        for child in running:
            _kill(child)
        await asyncio.gather(*(child.wait() for child in running))

    async def run(
        self,
        kind: Kind,
        collection: Collection,
        options: Mapping[str, Any],
        chosen: I64 | None = None,
        files: Mapping[str, bytes] = MappingProxyType({}),
    ) -> AsyncGenerator[Progress | Part]:
        """Yield what an analysis says until it ends; closing the iterator kills it.

        `chosen` are the ordinals that count, int64 ascending; None for all. `files` are
        put into its directory, by name.

        Raises:
            Exhausted: as many as may run do, or the disk is full.
            InvalidField: the collection or the options do not allow an answer.
            StoreDamaged: the collection's store is damaged; no later attempt can succeed.
            Unavailable: it failed, or the service is stopping.
        """
        if self._closed:
            raise Unavailable("the search service is stopping", reason=Reason.NOT_READY)
        if self._started >= MOST_RUNNING:
            raise Exhausted("too many analyses run: try again when one has ended", retry_delay_s=10)
        self._started += 1
        work = self._directory / uuid.uuid4().hex
        try:
            job = self._job(kind, collection, options, work, chosen)
            await asyncio.to_thread(_prepare, job, chosen, files)
            async with contextlib.aclosing(self._converse(job)) as conversation:
                async for said in conversation:
                    yield said
        finally:
            self._started -= 1
            await asyncio.to_thread(shutil.rmtree, work, ignore_errors=True)

    def _job(
        self,
        kind: Kind,
        collection: Collection,
        options: Mapping[str, Any],
        work: Path,
        chosen: I64 | None,
    ) -> AnalysisJob:
        spec = collection.shard.spec
        directory = self._catalog.directory(collection.uid)
        return AnalysisJob(
            kind=kind,
            store_path=directory / STORE,
            segments_path=directory / SEGMENTS,
            work_path=work,
            uid=spec.uid,
            dimension=spec.dimension,
            fingerprint=spec.model_fingerprint,
            threads=self._threads,
            chosen=None if chosen is None else work / "chosen.i64",
            kept_path=self._kept,
            options=options,
        )

    async def _converse(self, job: AnalysisJob) -> AsyncGenerator[Progress | Part]:
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            _BOOT,
            json.dumps(sys.path),
            str(NICE),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=_LINE_BYTES,
            process_group=0,  # a Ctrl-C is the parent's to handle
        )
        self._running.add(child)
        complaints = asyncio.create_task(_last_lines(child.stderr))
        try:
            assert child.stdin is not None  # piped above
            assert child.stdout is not None  # piped above
            with contextlib.suppress(ConnectionError):  # it ended before: said below
                child.stdin.write(orjson.dumps(job.to_json()) + b"\n")
                await child.stdin.drain()
            while line := await child.stdout.readline():
                yield _read(orjson.loads(line))
            status = await child.wait()
            if status:
                self._explain(status, await complaints)
        finally:
            _kill(child)
            await child.wait()
            complaints.cancel()
            self._running.discard(child)

    def _explain(self, status: int, complaints: list[str]) -> None:
        """Raise why a child ended with another status than 0."""
        if self._closed:
            raise Unavailable("the search service is stopping", reason=Reason.NOT_READY)
        _log.error("an analysis ended with status %d: %s", status, "\n".join(complaints))
        why = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
        raise Unavailable(
            f"the analysis {why}; the log of the search service says why",
            reason=Reason.NOT_READY,
        )


def _prepare(job: AnalysisJob, chosen: I64 | None, files: Mapping[str, bytes]) -> None:
    """Fill the directory of a job."""
    try:
        job.work_path.mkdir()
        if chosen is not None and job.chosen is not None:
            job.chosen.write_bytes(np.ascontiguousarray(chosen, dtype="<i8").tobytes())
        for name, content in files.items():
            (job.work_path / name).write_bytes(content)
    except OSError as error:
        raise _disk_full(error.strerror) from error


def _disk_full(why: str | None) -> Exhausted:
    return Exhausted(
        f"the analysis cannot write to the disk of the search service: {why}",
        reason=Reason.DISK_FULL,
        retry_delay_s=5.0,
    )


def _read(said: Mapping[str, Any]) -> Progress | Part:
    """Return what a line says.

    Raises:
        InvalidField: a refusal.
        StoreDamaged: the store is damaged.
        Exhausted: the disk is full.
        Unavailable: a library is missing.
    """
    if "part" in said:
        return Part(said["part"])
    if "missing" in said:
        raise Unavailable(
            f'the library "{said["missing"]}" is not installed with the search service: '
            "install lookalike[analysis] there",
            reason=Reason.NOT_READY,
        )
    if "refused" in said:
        raise InvalidField(said["refused"]["field"], said["refused"]["message"])
    if "damaged" in said:
        raise StoreDamaged(said["damaged"])
    if "disk" in said:
        raise _disk_full(said["disk"])
    return Progress(said["stage"], said["done"], said["total"])


def _kill(child: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):  # it has ended
        child.kill()


async def _last_lines(stream: asyncio.StreamReader | None) -> list[str]:
    """Read `stream` to its end and return its last lines."""
    assert stream is not None  # piped by the caller
    kept: deque[str] = deque(maxlen=_LINES_KEPT)
    while line := await stream.readline():
        kept.append(line.decode(errors="replace").rstrip())
    return list(kept)
