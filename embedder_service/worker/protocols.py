"""The queue, the embedder and the index, as the worker uses them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from lookalike.serving.queue.entries import QueuedMutation
from lookalike.v1 import embedder_pb2, search_pb2
from lookalike.wire.errors import (
    LookalikeError,
    PermissionDenied,
    Reason,
    Unauthenticated,
    Unavailable,
)


class PeerLost(Unavailable):
    """The connection to a service ended while it had our request."""

    def __init__(self, peer: str) -> None:
        super().__init__(f"the {peer} stopped while it worked on this", reason=Reason.NOT_READY)


class KeyRefused(Unavailable):
    """A service does not take the worker's API key, which says nothing of what was asked."""

    def __init__(self, error: Unauthenticated | PermissionDenied) -> None:
        super().__init__(
            f"it refuses the worker's key (--token-file): {error.message}", reason=Reason.NOT_READY
        )


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of the queue as it was delivered; None stands for an unreadable one.

    `attempts` is how often it was tried alone before, `lane` the number of the
    stream in which it stands.
    """

    entry_id: str
    counted_bytes: int
    mutation: QueuedMutation | None
    attempts: int = 0
    lane: int = 0

    @property
    def key(self) -> str:
        """Its name among all lanes."""
        return f"{self.entry_id}/{self.lane}" if self.lane else self.entry_id

    @property
    def owner(self) -> str:
        """Whose work it is: those with the same owner share a turn."""
        mutation = self.mutation
        return (mutation.job_id or mutation.collection_uid) if mutation else ""


@dataclass(frozen=True, slots=True)
class Claimed:
    """Entries of dead workers, and ids that were trimmed away unfinished."""

    entries: Sequence[Entry]
    lost_ids: Sequence[str]


@dataclass(frozen=True, slots=True)
class Ended:
    """How an entry ended: with a result, or given up for an error."""

    entry: Entry
    result: search_pb2.MutationResult
    failure: LookalikeError | None = None
    attempts: int = 0


class Queue(Protocol):
    """The queue. Every method raises Unavailable while it cannot be reached."""

    async def read_new(self, count: int, held: Mapping[int, int]) -> list[Entry]:
        """Return up to `count` entries that no worker has read, waiting a moment for one.

        Lanes of which this worker holds least come first; `held` is how many by lane.
        """

    async def read_own(self, lane: int, after: str, count: int) -> list[Entry]:
        """Return entries of a lane that an earlier life of this worker left, after an id."""

    async def claim_idle(self, count: int) -> Claimed:
        """Take over up to `count` entries whose worker shows no sign of life."""

    async def begin_attempt(self, entry: Entry) -> int:
        """Count one more attempt alone; return how many, or 0 if another worker has it."""

    async def take_back_attempt(self, entry: Entry) -> None:
        """Uncount an attempt that said nothing about the entry."""

    async def end(self, ended: Sequence[Ended]) -> None:
        """Record outcomes and acknowledge, each in one step; repeating is harmless."""

    async def beat(self, held: Sequence[Entry], state: Mapping[str, str]) -> None:
        """Show a sign of life for this worker and the entries that it has in hand."""

    async def drop_dead_consumers(self) -> None:
        """Forget workers that show no sign of life and have nothing in hand."""

    async def release(self, entries: Sequence[Entry]) -> None:
        """Let others take entries at once."""


class Embedder(Protocol):
    """Makes vectors."""

    @property
    def ready(self) -> bool:
        """Whether it serves and takes our key, as far as is known."""

    @property
    def refusal(self) -> str:
        """Why it takes nothing from this worker although it serves; empty otherwise."""

    async def wait_ready(self) -> None:
        """Wait until it serves."""

    async def embed(
        self, image: bytes, model: str, thumbnail_side_px: int = 0
    ) -> embedder_pb2.Embedding:
        """Return the embedding of an encoded image; a side of 0 is what the embedder is set to.

        Raises:
            PeerLost: the connection ended with the image under way.
            LookalikeError: what the service answered.
        """


class Index(Protocol):
    """Applies mutations durably."""

    @property
    def ready(self) -> bool:
        """Whether it serves and takes our key, as far as is known."""

    @property
    def refusal(self) -> str:
        """Why it takes nothing from this worker although it serves; empty otherwise."""

    async def wait_ready(self) -> None:
        """Wait until it serves."""

    async def upsert(
        self, collection_uid: str, item: search_pb2.VectorUpsert
    ) -> search_pb2.MutationResult:
        """Store a vector; the result may carry an error.

        Raises:
            PeerLost: the connection ended with the item under way.
            LookalikeError: what the service answered.
        """

    async def update_metadata(
        self, collection_uid: str, update: search_pb2.MetadataUpdate
    ) -> search_pb2.MutationResult:
        """Replace metadata; raises as `upsert`."""

    async def delete(
        self, collection_uid: str, item: search_pb2.ItemDelete
    ) -> search_pb2.MutationResult:
        """Delete; raises as `upsert`."""
