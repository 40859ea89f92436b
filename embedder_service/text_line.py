"""Texts to unit vectors: a bounded queue before the text tower of one model.

Texts are queries, so there is one lane. A batch starts when the tower is free, with
what waits, as with images.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from embedder_service.lanes import Lane, Lanes, Ticket
from embedder_service.runner import unit_vectors
from embedder_service.runtimes.protocol import TextRuntime
from lookalike.wire.errors import DeadlineExceeded, Exhausted, InvalidField, Reason, Unavailable
from lookalike.wire.vectors import F32

_log = logging.getLogger(__name__)

MOST_TEXTS = 256
MOST_CHARACTERS = 1_000
# On two busy cores ViT-B/32's tower took 0.49 s for one text, 0.22 s each for 8 together
# and 0.21 s each for 32: more gain nothing, and a query waits for the batch before it.
_MOST_IN_BATCH = 8
_RETRY_S = 0.5


class TextObserver(Protocol):
    """Hears of what the line does (metrics)."""

    def texts_embedded(self, texts: int, seconds: float) -> None:
        """So many texts of one call were answered."""


class TextLine:
    """Embeds texts with one tower. Owned by one event loop."""

    def __init__(
        self, load: Callable[[], TextRuntime], most_waiting: int, observer: TextObserver
    ) -> None:
        self._load = load
        self._most_waiting = most_waiting
        self._observer = observer
        self._lanes: Lanes[str, F32] = Lanes()
        self._inside = 0
        self._worker: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Load and warm up.

        Raises:
            ModelError: the tower cannot be served.
        """
        runtime = await asyncio.to_thread(self._load)
        await asyncio.to_thread(runtime.infer, ["a photograph"])
        self._worker = asyncio.create_task(self._work(runtime))

    async def close(self) -> None:
        """End the work, and resolve what waits."""
        if self._worker is not None:
            self._worker.cancel()
            await asyncio.gather(self._worker, return_exceptions=True)
        self._worker = None
        for ticket in self._lanes.drain():
            ticket.fail(_away("the service is stopping"))

    async def embed(self, texts: Sequence[str], deadline_s: float | None) -> list[F32]:
        """Return a unit vector, float32 [D], for each text, in order.

        `deadline_s` is on `time.monotonic`'s clock.

        Raises:
            InvalidField: too many texts, or one that is empty or too long.
            Exhausted: too much is waiting.
            DeadlineExceeded: `deadline_s` passed.
            Unavailable: the tower failed, or the service is stopping.
        """
        started_s = time.monotonic()
        check_texts(texts)
        if deadline_s is not None and deadline_s <= started_s:
            raise DeadlineExceeded
        if self._worker is None:
            raise _away("the service is stopping")
        # One call of the most texts is let in where nothing waits, whatever the bound.
        if self._inside and self._inside + len(texts) > self._most_waiting:
            raise Exhausted("the queue of texts is full; try again later", retry_delay_s=_RETRY_S)
        self._inside += len(texts)
        tickets = [self._ticket(text, deadline_s) for text in texts]
        try:
            # The loop's clock is `time.monotonic`.
            async with asyncio.timeout_at(deadline_s):
                vectors = await asyncio.gather(*(ticket.done for ticket in tickets))
        except TimeoutError as error:
            raise DeadlineExceeded from error
        finally:
            self._inside -= len(texts)
            for ticket in tickets:
                ticket.done.cancel()  # of a caller who left: the worker drops them
        self._observer.texts_embedded(len(texts), time.monotonic() - started_s)
        return list(vectors)

    def _ticket(self, text: str, deadline_s: float | None) -> Ticket[str, F32]:
        done: asyncio.Future[F32] = asyncio.get_running_loop().create_future()
        ticket = Ticket(text, Lane.QUERY, deadline_s, done)
        self._lanes.put(ticket)
        return ticket

    async def _work(self, runtime: TextRuntime) -> None:
        while True:
            await self._lanes.wait()
            tickets = self._lanes.take(_MOST_IN_BATCH)
            if not tickets:
                continue
            texts = [ticket.work for ticket in tickets]
            try:
                vectors = unit_vectors(await asyncio.to_thread(runtime.infer, texts), len(texts))
            except asyncio.CancelledError:
                for ticket in tickets:
                    ticket.fail(_away("the service is stopping"))
                raise
            except Exception:  # noqa: BLE001 - whatever the tower dies of: its callers hear
                _log.exception("the text tower failed", extra={"texts": len(texts)})
                for ticket in tickets:
                    ticket.fail(_away("the text tower failed on this batch; try again"))
            else:
                for ticket, vector in zip(tickets, vectors, strict=True):
                    ticket.resolve(vector)


def check_texts(texts: Sequence[str]) -> None:
    """Raise unless there are texts, and each can be embedded.

    Raises:
        InvalidField: with the path of the text.
    """
    if not 1 <= len(texts) <= MOST_TEXTS:
        raise InvalidField("texts", f"must be 1 to {MOST_TEXTS}, got {len(texts)}")
    for place, text in enumerate(texts):
        if not text.strip():
            raise InvalidField(f"texts[{place}]", "the text is empty")
        if len(text) > MOST_CHARACTERS:
            raise InvalidField(
                f"texts[{place}]",
                f"has {len(text):,} characters; at most {MOST_CHARACTERS:,} are read",
            )


def _away(message: str) -> Unavailable:
    return Unavailable(message, reason=Reason.NOT_READY, retry_delay_s=1.0)
