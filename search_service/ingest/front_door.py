"""The front door as a whole: what the servicer delegates to."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lookalike.serving import tasks
from lookalike.serving.queue import entries, jobs
from lookalike.serving.queue.connection import connect
from lookalike.serving.queue.keys import QueueKeys
from search_service import limits
from search_service.ingest.accounts import Accounts
from search_service.ingest.appender import Appender
from search_service.ingest.copies import Copies
from search_service.ingest.failures import Failure, Failures
from search_service.ingest.intake import Intake
from search_service.ingest.jobs import JobEvent, Jobs
from search_service.ingest.queue_watch import QueueWatch
from search_service.ingest.references import References
from search_service.ingest.status import QueueState, WorkerState, read_queue, read_workers
from search_service.ingest.stored import StoredVersions
from search_service.ingest.submission import Answer, Request, Submission
from search_service.ingest.submit_stream import SubmitStream, Window
from search_service.ingest.twins import NoTwins

if TYPE_CHECKING:
    from lookalike.wire.keys import Tenant
    from search_service.ingest.collections import Collections
    from search_service.ingest.ledger import Ledger
    from search_service.ingest.metrics import IngestMetrics
    from search_service.ingest.settings import IngestSettings
    from search_service.ingest.twins import Twins


@dataclass(frozen=True, slots=True)
class IngestState:
    """The state of ingestion."""

    queue: QueueState
    workers: Sequence[WorkerState]
    max_queue_bytes: int
    lost: int
    warnings: Sequence[str]


@dataclass(frozen=True, slots=True)
class TenantState:
    """The state of what a tenant submitted. `oldest_age_s` is None where nothing waits."""

    depth: int
    oldest_age_s: float | None
    failures: int
    lost: int


class FrontDoor:
    """Takes mutations in, and reports what became of them."""

    def __init__(
        self,
        settings: IngestSettings,
        collections: Collections,
        metrics: IngestMetrics,
        ledger: Ledger,
        twins: Twins | None = None,
        tenants: Callable[[], Collection[Tenant]] = tuple,
    ) -> None:
        """`twins` None: each collection stands alone. `tenants`: see `StoredVersions`."""
        twins = twins or NoTwins()
        self._settings = settings
        self._collections = collections
        self._keys = QueueKeys(settings.key_prefix)
        self._client = connect(settings, "lookalike-search")
        self._ledger = ledger
        self._appender = Appender(self._client, self._keys, settings, ledger, twins)
        self.copies = Copies(self._client, self._keys, self._appender, ledger)
        stored = StoredVersions(collections, tenants)
        self._failures = Failures(self._client, self._keys, settings, stored, ledger)
        accounts = self._accounts = Accounts(
            self._client, self._keys, settings, ledger, stored, metrics
        )
        self._jobs = Jobs(self._client, self._keys, settings, accounts)
        self._queue_watch = QueueWatch(
            self._client,
            self._keys,
            settings,
            self._appender,
            self._failures,
            metrics,
            accounts,
            ledger,
            twins,
        )
        self._intake = Intake(
            collections,
            References(settings.references),
            self._queue_watch,
            self._appender,
            metrics,
            ledger,
            twins,
            max_image_bytes=settings.max_image_bytes,
        )
        self._watch_task: asyncio.Task[None] | None = None
        self._draining = asyncio.Event()

    async def start(self) -> None:
        """Check the queue's server and begin. A server that is away is waited for
        in the background: searching does not need it.

        Raises:
            Unavailable: the server is too old, or evicts keys.
        """
        await self._queue_watch.open(self._settings.startup_wait_s)
        self._appender.start()
        self._watch_task = asyncio.create_task(
            self._queue_watch.run(self._collections), name="ingest-queue-watch"
        )

    async def close(self) -> None:
        """Refuse what waits, stop, disconnect."""
        await tasks.end(self._watch_task)
        await self._appender.close()
        await self._client.aclose()
        await asyncio.to_thread(self._ledger.close)

    def submit_all(self, requests: AsyncIterator[Request]) -> AsyncGenerator[Answer, None]:
        """Submit a stream of mutations; see `SubmitStream.answers`."""
        window = Window(self._settings.window_items, self._settings.window_bytes)
        return SubmitStream(self._intake.submit, window, self._draining).answers(requests)

    async def submit(self, submission: Submission) -> int:
        """Queue one mutation; see `Intake.submit`."""
        return await self._intake.submit(submission)

    async def state(self) -> IngestState:
        """Read the state of ingestion.

        Raises:
            Unavailable: the queue cannot be reached.
        """
        state = await read_queue(self._client, self._keys)
        workers = await read_workers(self._client, self._keys, state.now_ms)
        lost = await asyncio.to_thread(self._ledger.lost)
        return IngestState(
            state, workers, self._settings.max_queue_bytes, lost, self._queue_watch.warnings
        )

    async def state_of(self, tenant: str) -> TenantState:
        """Read the state of what a tenant submitted; `tenant` is its mark.

        Raises:
            Unavailable: the queue cannot be reached.
        """
        failures, lost = await self._failures.count(tenant)
        depth, oldest_ms = await asyncio.to_thread(self._ledger.open_of_tenant, tenant)
        age_s = None if oldest_ms is None else max(0.0, time.time() - oldest_ms / 1000)
        return TenantState(depth, age_s, failures, lost)

    def watch(self, job_id: str, cursor: str, tenant: str = "") -> AsyncGenerator[JobEvent, None]:
        """Yield a job's outcomes; see `Jobs.watch`. With the mark of a `tenant`, of its own.

        Raises:
            InvalidField: no job is named.
        """
        checked = entries.check_followed(job_id, tenant=bool(tenant))
        return self._jobs.watch(jobs.named(tenant, checked), cursor, self._draining)

    def drain(self) -> None:
        """End the streams that would not end by themselves, with NOT_READY."""
        self._draining.set()

    async def list_failures(
        self, collection: str, page_size: int, page_token: str, tenant: str = ""
    ) -> tuple[list[Failure], str]:
        """Return a page of failures; see `Failures.page`."""
        uid = self._collections.find(collection).uid if collection else ""
        return await self._failures.page(uid, limits.page_size(page_size), page_token, tenant)

    async def retry_failures(
        self,
        failure_ids: Sequence[str],
        duplicate_policy: int = 0,
        *,
        seen: Callable[[Failure], bool] = lambda _: True,
    ) -> tuple[int, list[str]]:
        """Queue failures again; see `Failures.retry`."""
        limits.check_count("failure_ids", len(failure_ids), limits.MAX_ITEMS_PER_MESSAGE)
        await self._accounts.note_ended()  # or the end of the first try would be taken for theirs
        return await self._failures.retry(failure_ids, duplicate_policy, seen)
