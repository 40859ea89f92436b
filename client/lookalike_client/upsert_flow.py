"""Vectors on their way into a collection."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator

from lookalike.v1 import search_pb2
from lookalike.wire.errors import LookalikeError
from lookalike_client import calls, convert, requests
from lookalike_client.flow import Brake
from lookalike_client.inputs import VectorItem
from lookalike_client.types import MutationResult, MutationStatus


class UpsertFlow:
    """Vectors for UpsertVectors, in batches that are answered in their order."""

    def __init__(self, collection: str, *, batch_items: int = 64, max_batches: int = 8) -> None:
        self._collection = collection
        self._batch_items = batch_items
        self._max_batches = max_batches
        self._brake = Brake(max_batches)
        self._filling: list[search_pb2.VectorUpsert] = []
        self._filling_bytes = 0
        self._unsent: deque[list[search_pb2.VectorUpsert]] = deque()
        self._sent: deque[list[search_pb2.VectorUpsert]] = deque()

    @property
    def idle(self) -> bool:
        """Whether nothing is unanswered."""
        return not (self._filling or self._unsent or self._sent)

    @property
    def on_the_wire(self) -> bool:
        """Whether something was sent on this stream and is unanswered."""
        return bool(self._sent)

    @property
    def refusal(self) -> LookalikeError | None:
        """The last refusal that asks to try again, if nothing went through since."""
        return self._brake.refusal

    def room(self) -> bool:
        """Whether another vector may be added."""
        return len(self._unsent) + len(self._sent) < self._max_batches

    def add(self, item: VectorItem) -> list[MutationResult]:
        """Add a vector; one that cannot be sent fails at once."""
        try:
            message = requests.vector_upsert(item)
        except LookalikeError as error:
            return [MutationResult(requests.id_of(item), MutationStatus.FAILED, 0, error)]
        size = message.ByteSize()
        if self._filling_bytes + size > requests.MAX_REQUEST_BYTES:
            self.end_of_input()
        self._filling.append(message)
        self._filling_bytes += size
        if len(self._filling) >= self._batch_items:
            self.end_of_input()
        return []

    def end_of_input(self) -> None:
        """Send the batch that is being filled."""
        if self._filling:
            self._unsent.append(self._filling)
            self._filling, self._filling_bytes = [], 0

    def next_request(self, now_s: float) -> search_pb2.UpsertVectorsRequest | None:
        """Return the next batch, unless a pause or the window forbids."""
        if not self._unsent or now_s < self._brake.resume_at_s:
            return None
        if len(self._sent) >= self._brake.window:
            return None
        batch = self._unsent.popleft()
        self._sent.append(batch)
        return search_pb2.UpsertVectorsRequest(collection=self._collection, items=batch)

    def wake_in_s(self, now_s: float) -> float | None:
        """Return the rest of a pause."""
        if self._unsent and now_s < self._brake.resume_at_s:
            return self._brake.resume_at_s - now_s
        return None

    def answered(
        self, response: search_pb2.UpsertVectorsResponse, now_s: float
    ) -> list[MutationResult]:
        """Read a batch's answers; items with a retryable error are sent again."""
        batch = self._sent.popleft()
        results = calls.same_length(
            convert.mutation_results(response.results, response.position), batch
        )
        later = Counter(each.id for each in self._waiting())
        later.update(each.id for each in batch)
        again: list[search_pb2.VectorUpsert] = []
        refusal: LookalikeError | None = None
        final: list[MutationResult] = []
        for item, result in zip(batch, results, strict=True):
            later[item.id] -= 1
            # Sent again after a later vector of its id, it would replace that one.
            if result.error is not None and result.error.retryable and not later[item.id]:
                refusal = result.error
                again.append(item)
            else:
                final.append(result)
        if refusal is not None:
            self._unsent.appendleft(again)
            self._brake.overloaded(now_s, refusal, 0.0)
        else:
            self._brake.fine()
        return final

    def broken(self) -> None:
        """Send everything unanswered again, in its first order."""
        self._unsent.extendleft(reversed(self._sent))
        self._sent.clear()

    def _waiting(self) -> Iterator[search_pb2.VectorUpsert]:
        for batch in (*self._sent, *self._unsent, self._filling):
            yield from batch
