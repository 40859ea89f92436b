"""Mutations on their way into the ingestion queue."""

from __future__ import annotations

import heapq
from dataclasses import dataclass

from lookalike.v1 import ingest_pb2
from lookalike.wire.errors import InvalidField, LookalikeError
from lookalike.wire.status import from_item_error
from lookalike_client import convert, requests
from lookalike_client.flow import Brake
from lookalike_client.inputs import QueuedMutation
from lookalike_client.types import Acceptance


@dataclass(slots=True)
class _Mutation:
    request: ingest_pb2.SubmitImagesRequest
    id: str
    size_bytes: int


class SubmissionFlow:
    """Mutations for SubmitImages.

    Two mutations of one id are never under way together: a refused one that is
    sent again must not overtake a later one.
    """

    def __init__(
        self, collection: str, job_id: str, *, max_items: int = 256, max_bytes: int = 32 << 20
    ) -> None:
        self._collection, self._job_id = collection, job_id
        self._max_items, self._max_bytes = max_items, max_bytes
        self._brake = Brake(max_items)
        self._next_request_id = 1
        self._unsent: list[int] = []  # a heap: the oldest goes first, also again
        self._sent: set[int] = set()
        self._mutations: dict[int, _Mutation] = {}
        self._ids: set[str] = set()
        self._held: _Mutation | None = None
        self._bytes = 0

    @property
    def idle(self) -> bool:
        """Whether nothing is unanswered."""
        return not self._mutations and self._held is None

    @property
    def on_the_wire(self) -> bool:
        """Whether something was sent on this stream and is unanswered."""
        return bool(self._sent)

    @property
    def refusal(self) -> LookalikeError | None:
        """The last refusal that asks to try again, if nothing went through since."""
        return self._brake.refusal

    def room(self) -> bool:
        """Whether another mutation may be added."""
        if self._held is not None:
            return False
        return len(self._mutations) < self._max_items and self._bytes < self._max_bytes

    def add(self, item: QueuedMutation) -> list[Acceptance]:
        """Add a mutation, reading its file; a fault of its own is final."""
        try:
            request = requests.submission(
                item, request_id=0, collection=self._collection, job_id=self._job_id
            )
        except LookalikeError as error:
            return [Acceptance(requests.id_of(item), 0, error)]
        except OSError as error:
            reason = error.strerror or "unknown error"
            return [Acceptance(item.id, 0, InvalidField("image", f"cannot be read: {reason}"))]
        mutation = _Mutation(request, item.id, request.ByteSize())
        if item.id in self._ids:
            self._held = mutation
        else:
            self._enter(mutation)
        return []

    def end_of_input(self) -> None:
        """Do nothing: mutations are sent one by one."""

    def next_request(self, now_s: float) -> ingest_pb2.SubmitImagesRequest | None:
        """Return the oldest mutation to send, unless a pause or the window forbids."""
        if not self._unsent or now_s < self._brake.resume_at_s:
            return None
        if len(self._sent) >= self._brake.window:
            return None
        request_id = heapq.heappop(self._unsent)
        self._sent.add(request_id)
        return self._mutations[request_id].request

    def wake_in_s(self, now_s: float) -> float | None:
        """Return the rest of a pause."""
        if self._unsent and now_s < self._brake.resume_at_s:
            return self._brake.resume_at_s - now_s
        return None

    def answered(self, response: ingest_pb2.SubmitImagesResponse, now_s: float) -> list[Acceptance]:
        """Read an answer; what was refused for now waits and is sent again."""
        request_id = response.request_id
        if request_id not in self._sent:
            return []
        self._sent.remove(request_id)
        if response.WhichOneof("outcome") == "error":
            error = from_item_error(response.error)
            if error.retryable or response.error.retryable:
                heapq.heappush(self._unsent, request_id)
                self._brake.overloaded(now_s, error, convert.seconds(response.retry_delay))
                return []
            return [Acceptance(self._leave(request_id), 0, error)]
        self._brake.fine()
        return [Acceptance(self._leave(request_id), response.accepted.version)]

    def broken(self) -> None:
        """Send everything unanswered again, in its first order."""
        for request_id in self._sent:
            heapq.heappush(self._unsent, request_id)
        self._sent.clear()

    def _enter(self, mutation: _Mutation) -> None:
        request_id = self._next_request_id
        self._next_request_id += 1
        mutation.request.request_id = request_id
        self._mutations[request_id] = mutation
        self._ids.add(mutation.id)
        self._bytes += mutation.size_bytes
        heapq.heappush(self._unsent, request_id)

    def _leave(self, request_id: int) -> str:
        mutation = self._mutations.pop(request_id)
        self._ids.discard(mutation.id)
        self._bytes -= mutation.size_bytes
        if self._held is not None and self._held.id not in self._ids:
            held, self._held = self._held, None
            self._enter(held)
        return mutation.id
