"""Collections that take what another takes, as far as ingestion needs to know."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Protocol

from lookalike.serving.queue import jobs
from lookalike.serving.queue.entries import Kind, QueuedMutation
from lookalike.v1.collection_pb2 import DUPLICATE_POLICY_REJECT


@dataclass(frozen=True, slots=True)
class Twin:
    """A collection that takes the images of another, to be embedded by its own model.

    `duplicate_policy` is a number of `lookalike.v1.DuplicatePolicy`, 0 for its own.
    """

    uid: str
    model_fingerprint: str
    thumbnail_side_px: int
    duplicate_policy: int = 0

    def copy_of(self, mutation: QueuedMutation) -> QueuedMutation:
        """Return the mutation as it is queued for this collection; it is of no job, and
        of the same tenant."""
        return replace(
            mutation,
            collection_uid=self.uid,
            job_id=jobs.named(jobs.tenant_of(mutation.job_id), ""),
            model_fingerprint=self.model_fingerprint,
            thumbnail_side_px=self.thumbnail_side_px,
            duplicate_policy=self.duplicate_policy,
            twinned=True,
        )


class Twins(Protocol):
    """Which collections are twins."""

    def twin_of(self, uid: str) -> Twin | None:
        """Return the twin that takes a collection's images; None where there is none."""

    def uids(self) -> Collection[str]:
        """Return the UIDs of all collections that have a twin."""


class NoTwins:
    """`Twins` of a service whose collections each stand alone."""

    def twin_of(self, uid: str) -> Twin | None:
        """See `Twins`."""
        return None

    def uids(self) -> Collection[str]:
        """See `Twins`."""
        return ()


def copy_for_twin(
    mutation: QueuedMutation, twin_of: Callable[[str], Twin | None]
) -> QueuedMutation | None:
    """Return what is queued beside a mutation for the twin of its collection.

    Images alone: what else changes is taken over from what was committed. Of those that are
    to be rejected as near-duplicates none: two models would not reject the same.
    """
    if mutation.kind is not Kind.UPLOAD or mutation.duplicate_policy == DUPLICATE_POLICY_REJECT:
        return None
    twin = twin_of(mutation.collection_uid)
    return None if twin is None else twin.copy_of(mutation)
