"""Work that takes longer than a request: it goes on while nobody looks, and is asked after."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import Any

from lookalike.wire.errors import Exhausted, LookalikeError, NotFound, Reason
from lookalike_client.types import AnalysisProgress
from lookalike_client.web.answers import told

_log = logging.getLogger(__name__)

# Each is a process of the search service's.
_MOST_RUNNING = 3
_MOST_KEPT = 12


class Task:
    """One piece of work: how far it is, and what came of it."""

    def __init__(self, kind: str, collection: str) -> None:
        self.id = secrets.token_urlsafe(9)
        self.kind, self.collection = kind, collection
        self.result: Any = None
        self.error: LookalikeError | None = None
        self.running: asyncio.Task[None] | None = None
        self._said = AnalysisProgress("waiting", 0, 0)
        self._started_s = time.monotonic()

    def progress(self, said: AnalysisProgress) -> None:
        """Note how far it is."""
        self._said = said

    def document(self) -> dict[str, Any]:
        """Say how it stands."""
        state = "failed" if self.error else "running" if self.result is None else "done"
        return {
            "task": self.id,
            "kind": self.kind,
            "collection": self.collection,
            "state": state,
            "stage": self._said.stage,
            "done": self._said.done,
            "total": self._said.total,
            "seconds": round(time.monotonic() - self._started_s, 1),
            "error": told(self.error) if self.error else None,
        }


class Tasks:
    """The work that runs, and some that has ended."""

    def __init__(self) -> None:
        self._tasks: dict[str, Task] = {}

    def start(self, kind: str, collection: str, work: Callable[[Task], Awaitable[object]]) -> Task:
        """Start `work`, whose result is kept for a while.

        Raises:
            Exhausted: enough is running.
        """
        running = [each for each in self._tasks.values() if each.document()["state"] == "running"]
        if len(running) >= _MOST_RUNNING:
            raise Exhausted("other analyses are running: wait for one to end", retry_delay_s=10.0)
        task = Task(kind, collection)
        ended = [each.id for each in self._tasks.values() if each not in running]
        for id in ended[: max(0, len(self._tasks) + 1 - _MOST_KEPT)]:
            del self._tasks[id]
        self._tasks[task.id] = task
        task.running = asyncio.create_task(self._run(task, work), name=f"web-{kind}")
        return task

    def get(self, id: str, kind: str = "") -> Task:
        """Return a task.

        Raises:
            NotFound: it is no longer kept.
        """
        task = self._tasks.get(id)
        if task is None or (kind and task.kind != kind):
            raise NotFound("that is no longer kept: start it again", reason=Reason.ITEM_NOT_FOUND)
        return task

    def latest(self, kind: str, collection: str) -> Task | None:
        """Return the last one of a kind that was started for a collection."""
        found = [
            each
            for each in self._tasks.values()
            if (each.kind, each.collection) == (kind, collection)
        ]
        return found[-1] if found else None

    def cancel(self, id: str) -> None:
        """End a task; the search service ends its work."""
        running = self.get(id).running
        if running is not None:
            running.cancel()

    async def close(self) -> None:
        """End all."""
        running = [each.running for each in self._tasks.values() if each.running is not None]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def _run(self, task: Task, work: Callable[[Task], Awaitable[object]]) -> None:
        try:
            task.result = await work(task)
        except LookalikeError as error:
            task.error = error
        except asyncio.CancelledError:
            task.error = LookalikeError("it was stopped", reason=Reason.INTERNAL)
            raise
        except Exception:  # noqa: BLE001 - a fault of ours ends this task and nothing else
            _log.exception("a task of the page failed")
            task.error = LookalikeError("internal error", reason=Reason.INTERNAL)
