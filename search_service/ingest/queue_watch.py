"""Watches the queue and its server, and starts to forget what is past."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from lookalike.serving.queue import connection
from lookalike.wire.errors import LookalikeError, Unavailable
from search_service.ingest.status import QueueState
from search_service.ingest.tombstones import Tombstones

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from lookalike.serving.queue.keys import QueueKeys
    from search_service.ingest.accounts import Accounts
    from search_service.ingest.appender import Appender
    from search_service.ingest.collections import Collections
    from search_service.ingest.failures import Failures
    from search_service.ingest.ledger import Ledger
    from search_service.ingest.metrics import IngestMetrics
    from search_service.ingest.settings import IngestSettings
    from search_service.ingest.twins import Twins

_log = logging.getLogger(__name__)

_LOOK_EVERY_S = 1.0
_FORGET_EVERY_S = 60.0
_FORGET_ROUNDS = 20
_MARK_EVERY_S = 300.0
_INSPECT_EVERY_S = 2.0


class QueueWatch:
    """A loop that looks at the queue each second: its state, and what is past."""

    def __init__(
        self,
        client: Redis,
        keys: QueueKeys,
        settings: IngestSettings,
        appender: Appender,
        failures: Failures,
        metrics: IngestMetrics,
        accounts: Accounts,
        ledger: Ledger,
        twins: Twins,
    ) -> None:
        self._client = client
        self._keys = keys
        self._appender = appender
        self._failures = failures
        self._metrics = metrics
        self._accounts = accounts
        self._ledger = ledger
        self._failure_retention_s = settings.failure_retention_s
        self._inspect_at = 0.0
        self._tombstones = Tombstones(client, keys, appender, settings.tombstone_grace_s, twins)
        self.suits = False
        self.unsuitable: str | None = None
        self.warnings: tuple[str, ...] = ()

    async def open(self, wait_s: float) -> None:
        """Wait for the server up to `wait_s`; note whether it is there and suits.

        Raises:
            Unavailable: it is too old, or evicts keys.
        """
        info = await connection.reach(self._client, self._keys.lanes, wait_s)
        if isinstance(info, str):
            self._say_away(info)
            return
        self.suits, self.unsuitable = True, None
        self._judge(info)

    async def run(self, collections: Collections) -> None:
        """Run until cancelled."""
        forget_at = mark_at = time.monotonic()
        away = False
        while True:
            try:
                await self._open_again()
                state, suspected = await self._accounts.look()
                self._show(state)
                await self._accounts.find_lost(suspected=suspected)
                await self._inspect()
                if time.monotonic() >= forget_at:
                    forget_at = time.monotonic() + _FORGET_EVERY_S
                    await self._forget(state.now_ms)
                if time.monotonic() >= mark_at:
                    mark_at = time.monotonic() + _MARK_EVERY_S
                    await self._tombstones.step(collections)
                away = False
            except LookalikeError as error:
                # Without a look nobody knows the age: it must not refuse for ever.
                self._appender.oldest_age_s = None
                self._metrics.reachable.set(0)
                if not away:
                    _log.warning("cannot look after the queue", extra={"reason": error.message})
                away = True
            except Exception:  # noqa: BLE001 - one failed look must not end the loop
                _log.exception("watching the queue failed")
            await asyncio.sleep(_LOOK_EVERY_S)

    async def _open_again(self) -> None:
        """Check a server that was away at the start, or was found unsuitable."""
        if self.suits:
            return
        try:
            await self.open(0.0)
        except Unavailable as error:
            self.unsuitable = error.message
            raise

    def _say_away(self, why: str) -> None:
        if why not in self.warnings:
            _log.warning("no queue yet", extra={"reason": why})
        self.warnings = (why,)

    async def _forget(self, now_ms: int) -> None:
        for _ in range(_FORGET_ROUNDS):
            if not await self._failures.forget_old(now_ms):
                break
        await self._failures.sweep()
        before_ms = now_ms - int(self._failure_retention_s * 1000)
        await asyncio.to_thread(self._ledger.forget_lost, before_ms)

    async def _inspect(self) -> None:
        """Look whether the server still suits: somebody may set it up otherwise meanwhile."""
        if time.monotonic() < self._inspect_at:
            return
        self._inspect_at = time.monotonic() + _INSPECT_EVERY_S
        with connection.queue_errors():
            info = await self._client.info()
        try:
            connection.check_server(info)
        except Unavailable as error:
            if self.unsuitable is None:
                _log.error("the queue's server does not suit", extra={"reason": error.message})
            self.unsuitable = error.message
        else:
            self.unsuitable = None
        self._judge(info)

    def _judge(self, info: Mapping[str, object]) -> None:
        """Tell what may make the server lose what was accepted."""
        found = connection.risks(info)
        for risk in connection.RISKS:
            self._metrics.at_risk.labels(risk).set(1 if risk in found else 0)
        warnings = tuple(found.values())
        for warning in warnings:
            if warning not in self.warnings:
                _log.warning(warning)
        if self.warnings and not warnings:
            _log.info("the queue's server keeps what is accepted again")
        self.warnings = warnings

    def _show(self, state: QueueState) -> None:
        self._appender.oldest_age_s = state.oldest_age_s
        metrics = self._metrics
        metrics.reachable.set(1)
        metrics.depth.set(state.depth)
        metrics.queue_bytes.set(state.counted_bytes)
        metrics.pending.set(state.pending)
        metrics.lag.set(float("nan") if state.lag is None else state.lag)
        metrics.oldest_age.set(state.oldest_age_s or 0.0)
        metrics.failures.set(state.failures)
