"""Gathers single items into calls."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, NamedTuple, TypeVar

from embedder_service.worker import traced
from embedder_service.worker.protocols import PeerLost
from lookalike.v1.search_pb2 import MutationResult
from lookalike.wire import request_ids
from lookalike.wire.errors import LookalikeError
from lookalike.wire.traces import spans

Item = TypeVar("Item")
# Half of the largest message. Only items with dozens of vectors come near it.
_MAX_CALL_BYTES = 32 * 1024 * 1024


class _Waiting(NamedTuple, Generic[Item]):
    item: Item
    future: asyncio.Future[MutationResult]
    span: spans.Span | None


class CallGatherer(Generic[Item]):
    """Sends what waits as soon as a call is free: batches grow with the load.

    `send(collection_uid, items)` returns as many results, in the same order.
    A call has at most `max_items`, and of bytes, as `size_of` tells them, half of what a
    message holds. What waits is bounded by the callers. The first that waits is given `gather_s`
    for others to join it: results of one model batch come one after the other.
    """

    def __init__(
        self,
        send: Callable[[str, Sequence[Item]], Awaitable[Sequence[MutationResult]]],
        *,
        max_items: int,
        max_calls: int,
        gather_s: float = 0.0,
        size_of: Callable[[Item], int] = lambda _: 0,
    ) -> None:
        self._send = send
        self._gather_s = gather_s
        self._size_of = size_of
        self._gathering: asyncio.TimerHandle | None = None
        self._max_items = max_items
        self._free_calls = max_calls
        self._closed = False
        self._waiting: dict[str, deque[_Waiting[Item]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def submit(self, collection_uid: str, item: Item) -> MutationResult:
        """Return the item's result; raises what the call raised."""
        if self._closed:
            raise PeerLost("search service")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[MutationResult] = loop.create_future()
        waiting = self._waiting.setdefault(collection_uid, deque())
        waiting.append(_Waiting(item, future, spans.current()))
        if not self._gather_s or len(waiting) >= self._max_items:
            self._pump()
        elif self._gathering is None:
            self._gathering = loop.call_later(self._gather_s, self._gathered)
        return await future

    async def close(self) -> None:
        """Cancel the calls under way and all that waits; nothing is sent any more."""
        self._closed = True
        if self._gathering is not None:
            self._gathering.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for queue in self._waiting.values():
            for waiting in queue:
                waiting.future.cancel()
        self._waiting.clear()

    def _gathered(self) -> None:
        self._gathering = None
        self._pump()

    def _pump(self) -> None:
        while self._free_calls and self._waiting and not self._closed:
            uid = next(iter(self._waiting))
            queue = self._waiting.pop(uid)
            batch = self._taken(queue)
            if queue:
                self._waiting[uid] = queue  # at the end: every collection has its turn
            self._free_calls -= 1
            task = asyncio.create_task(self._call(uid, batch))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _taken(self, queue: deque[_Waiting[Item]]) -> list[_Waiting[Item]]:
        """Take off the queue what goes into one call, one item at least."""
        batch = [queue.popleft()]
        nbytes = self._size_of(batch[0].item)
        while queue and len(batch) < self._max_items:
            nbytes += self._size_of(queue[0].item)
            if nbytes > _MAX_CALL_BYTES:
                break
            batch.append(queue.popleft())
        return batch

    async def _call(self, uid: str, batch: Sequence[_Waiting[Item]]) -> None:
        futures = [waiting.future for waiting in batch]
        try:
            # The call is of all of them: it has the id of none.
            with request_ids.within(""), traced.together([waiting.span for waiting in batch]):
                results = await self._send(uid, [waiting.item for waiting in batch])
            if len(results) != len(batch):
                raise PeerLost("search service")
            for future, result in zip(futures, results, strict=True):
                if not future.done():
                    future.set_result(result)
        except LookalikeError as error:
            for future in futures:
                if not future.done():
                    future.set_exception(error)
        finally:
            for future in futures:
                future.cancel()  # changes nothing for one that has its answer
            self._free_calls += 1
            if self._gathering is None:
                self._pump()
