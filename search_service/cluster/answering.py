"""What a replica answers: each method on a thread of its caller, which may wait here.

Errors travel as values, since Ray would wrap them.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from lookalike.wire.errors import LookalikeError, Reason, Unavailable
from search_service.cluster.replica import Replica
from search_service.domain.mutations import MutationOutcome
from search_service.domain.queries import QueryOutcome, QueryRequest

_log = logging.getLogger(__name__)

# Another replica is asked meanwhile; calls must not pile up at one that is behind.
_REACH_WITHIN_S = 1.0
_MOST_REACHING = 16
# As at a front (`servicers/queries.py`).
_CROWD_LASTS_S = 0.25


@dataclass(frozen=True, slots=True)
class Told:
    """What a replica answers: a value, or an error."""

    value: Any = None
    error: LookalikeError | None = None


class Answering:
    """Answers what fronts ask of one replica; any thread may call it."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica
        self._reaching = threading.Semaphore(_MOST_REACHING)
        # Held by who answers a query on its own thread.
        self._here = threading.Lock()
        self._crowded_s = -_CROWD_LASTS_S
        self._methods: Mapping[str, Callable[..., Any]] = {
            "query": self._query,
            "read": self._read,
            "stored": self._stored,
            "reached": replica.reached,
            "status": replica.status,
            "update_settings": replica.update_settings,
            "prune_tombstones": replica.prune_tombstones,
            "give_up": replica.give_up,
            "leave": self._leave,
        }

    def answer(self, method: str, *args: Any) -> Told:
        """Call a method, and say what it returns or why it does not."""
        try:
            return Told(self._methods[method](*args))
        except LookalikeError as error:
            return Told(error=error)
        except Exception:  # noqa: BLE001 - the caller's process is another one
            _log.exception("a call of a replica fails")
            fault = "a replica failed; its log says why"
            return Told(error=LookalikeError(fault, reason=Reason.INTERNAL))

    def _query(
        self, request: QueryRequest, position: int, left_s: float, timed: bool
    ) -> list[QueryOutcome]:
        """Answer queries, once what the caller has seen is applied; with `timed` within what is
        left of the time, else only that is waited for so long."""
        deadline_s = time.monotonic() + left_s
        shard = self._replica.shard
        self._reach(position, left_s)
        if timed:
            request = replace(request, deadline_s=deadline_s)
        with self._alone() as alone:
            if alone and (outcomes := shard.query_here(request)) is not None:
                return outcomes
            return shard.query(request).result()

    @contextmanager
    def _alone(self) -> Iterator[bool]:
        """Say whether there was one request at a time lately: others would share index calls."""
        now_s = time.monotonic()
        if not self._here.acquire(blocking=False):
            self._crowded_s = now_s
            yield False
            return
        try:
            yield now_s - self._crowded_s > _CROWD_LASTS_S
        finally:
            self._here.release()

    def _read(self, method: str, args: tuple[Any, ...], position: int, left_s: float) -> Any:
        """Call one of the reading methods of the shard, once it has what the caller has seen."""
        shard = self._replica.shard
        self._reach(position, left_s)
        match method:
            case "get":
                return shard.get(*args)
            case "list_items":
                condition, after_id, page_size, fields = args
                return shard.list_items(
                    filter=condition, after_id=after_id, page_size=page_size, fields=fields
                )
            case "list_ordered":
                condition, order, after, page_size, fields = args
                return shard.list_ordered(
                    filter=condition, order=order, after=after, page_size=page_size, fields=fields
                )
            case "facets":
                return shard.facets(*args)
            case "count":
                return shard.count(*args)
            case "remarks":
                return shard.remarks(*args)
            case "stats":
                return shard.stats()
            case _:
                sample_size, limit, expansions, seed = args
                return shard.measure_recall(
                    sample_size=sample_size, limit=limit, expansions=expansions, seed=seed
                )

    def _stored(self, positions: range, within_s: float) -> list[MutationOutcome | None]:
        """Wait until entries are applied durably; return what each led to, None: forgotten."""
        self._applied(positions[-1], within_s)
        return self._replica.progress.outcomes(positions)

    def _leave(self) -> None:
        """End the replica, and delete what it has on the disk."""
        self._replica.stop(remove=True)

    def _reach(self, position: int, within_s: float) -> None:
        progress = self._replica.progress
        if progress.is_complete(position):
            return
        if not self._reaching.acquire(blocking=False):
            raise _behind()
        try:
            last, complete = self._replica.look_up(position)
            self._applied(last, min(within_s, _REACH_WITHIN_S))
            progress.note_complete(complete)
        finally:
            self._reaching.release()

    def _applied(self, position: int, within_s: float) -> None:
        applied = self._replica.progress.reach(position)
        try:
            applied.result(within_s)
        except TimeoutError:
            applied.cancel()
            raise _behind() from None


def _behind() -> Unavailable:
    return Unavailable("the replica is behind in its log", reason=Reason.NOT_READY)
