"""Checks one mutation, reads its picture, and queues it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from lookalike.serving.queue import entries, jobs
from lookalike.serving.queue.entries import Kind, QueuedMutation
from lookalike.v1 import collection_pb2
from lookalike.wire import request_ids
from lookalike.wire.errors import (
    Exhausted,
    ImageTooLarge,
    ImageUnreadable,
    InvalidField,
    PermissionDenied,
    Precondition,
    Reason,
    Unavailable,
)
from lookalike.wire.traces import spans
from search_service import limits
from search_service.domain.collection import DuplicatePolicy
from search_service.domain.items import Fields
from search_service.ingest.submission import Picture

if TYPE_CHECKING:
    from search_service.domain.collection import CollectionSpec
    from search_service.ingest.appender import Appender
    from search_service.ingest.collections import Collections
    from search_service.ingest.ledger import Ledger
    from search_service.ingest.metrics import IngestMetrics
    from search_service.ingest.queue_watch import QueueWatch
    from search_service.ingest.references import References
    from search_service.ingest.submission import Submission, Tenant
    from search_service.ingest.twins import Twins
    from search_service.shard.api import ShardApi

# Of one item: 64 photographs of 12 megapixels. They are held and queued together, and
# a queue has room for four such items where nothing is set (`max_queue_bytes`).
_MOST_ITEM_BYTES = 256 << 20
# A worker that is free takes an image through in less.
_TURN_DELAY_S = 0.5


class Intake:
    """The way of one mutation into the queue."""

    def __init__(
        self,
        collections: Collections,
        references: References,
        queue_watch: QueueWatch,
        appender: Appender,
        metrics: IngestMetrics,
        ledger: Ledger,
        twins: Twins,
        *,
        max_image_bytes: int,
    ) -> None:
        self._collections = collections
        self._references = references
        self._queue_watch = queue_watch
        self._appender = appender
        self._metrics = metrics
        self._ledger = ledger
        self._twins = twins
        self._max_image_bytes = max_image_bytes

    async def submit(self, submission: Submission) -> int:
        """Queue one mutation; return its version once it is durably queued.

        Raises:
            LookalikeError: it was not accepted; the error says why.
        """
        try:
            version = await self._submit(submission)
        except Exception:
            self._metrics.submissions.labels(submission.kind.value, "refused").inc()
            raise
        self._metrics.submissions.labels(submission.kind.value, "accepted").inc()
        return version

    async def _submit(self, submission: Submission) -> int:
        if self._queue_watch.unsuitable is not None:
            raise Unavailable(
                self._queue_watch.unsuitable, reason=Reason.QUEUE_UNAVAILABLE, retry_delay_s=5.0
            )
        entries.check_job_id(submission.job_id)
        collection = self._collections.find(submission.collection)
        shard = collection.shard
        field = f"{submission.kind.value}.id"
        limits.check_id(submission.id, field)
        tenant = submission.tenant
        if tenant is not None:
            await self._check_turn(submission, collection.uid, tenant.mark)
        image, *further = [b""]
        models: tuple[tuple[str, str], ...] = ()
        fingerprint = ""
        thumbnail_side_px = 0
        if submission.kind is Kind.UPLOAD:
            fingerprint = shard.spec.model_fingerprint
            thumbnail_side_px = shard.spec.thumbnail_side_px
            bound = (each for each in shard.spec.vectors if each.model_fingerprint)
            models = tuple((each.name, each.model_fingerprint) for each in bound)
            _check_policy(submission.duplicate_policy, shard.spec)
            image, *further = await self._images(submission, bound=bool(fingerprint))
            if tenant is not None and self._twins.twin_of(collection.uid) is not None:
                await asyncio.to_thread(_check_own, shard, submission.id, tenant)
        mutation = QueuedMutation(
            collection_uid=collection.uid,
            id=submission.id,
            kind=submission.kind,
            version=0,
            submit_time_ms=0,
            job_id=jobs.named(tenant.mark if tenant else "", submission.job_id),
            model_fingerprint=fingerprint,
            image=image,
            metadata=submission.metadata,
            duplicate_policy=submission.duplicate_policy,
            keep_metadata=submission.keep_metadata,
            thumbnail_side_px=thumbnail_side_px,
            further_images=tuple(further),
            named_models=models,
            guard=tenant.guard if tenant else b"",
            request_id=request_ids.current(),
        )
        with spans.stage("append to the queue", spans.Kind.PRODUCER):
            if (span := spans.current()) is not None:
                mutation = replace(mutation, traceparent=span.traceparent)
            return await self._appender.append(shard, mutation)

    async def _check_turn(self, submission: Submission, uid: str, tenant: str) -> None:
        """Hold that what goes by what is stored finds stored what was submitted before it.

        Others' deletions and metadata may overtake a picture: the index remembers them by
        the id. A tenant's must not be, since the picture that comes may be another's.

        Raises:
            Exhausted: something of the item is on its way yet.
        """
        if submission.kind is Kind.UPLOAD and not submission.keep_metadata:
            return
        if await asyncio.to_thread(self._ledger.waits, uid, submission.id, tenant):
            raise Exhausted(
                f'what was submitted before of "{submission.id}" is still in the queue: send this '
                "again when it has ended",
                retry_delay_s=_TURN_DELAY_S,
            )

    async def _images(self, submission: Submission, *, bound: bool) -> list[bytes]:
        if not bound:
            raise Precondition(
                "the collection takes vectors that the caller makes; use UpsertVectors",
                reason=Reason.MODEL_MISMATCH,
                field="collection",
            )
        limits.check_count(
            "upload.further_images", len(submission.further), limits.MAX_ITEM_VECTORS - 1, least=0
        )
        first = Picture(submission.image, submission.image_uri, "upload")
        named = submission.tenant is None
        images: list[bytes] = []
        left = _MOST_ITEM_BYTES
        for picture in (first, *submission.further):
            image = await self._image(picture, named=named)
            left -= len(image)
            if left < 0 and images:  # one alone has a limit of its own
                raise ImageTooLarge(
                    f"the item's pictures up to this one have more than "
                    f"{_MOST_ITEM_BYTES >> 20} MiB together: send fewer, or smaller copies",
                    field=picture.field,
                )
            images.append(image)
        return images

    async def _image(self, picture: Picture, *, named: bool) -> bytes:
        image, field = picture.image, f"{picture.field}.image"
        if picture.image_uri:
            field = f"{picture.field}.image_uri"
            if not named:
                raise PermissionDenied(
                    "this API key may not name files of the service: send the image itself", field
                )
            image = await self._references.read(picture.image_uri, field=field)
            if not image:
                raise ImageUnreadable("the file is empty", field=field)
            return image
        if not image:
            raise InvalidField(field, "send an encoded image, or a reference to one")
        if len(image) > self._max_image_bytes:
            raise ImageTooLarge(
                f"the image has {len(image):,} bytes; the limit is {self._max_image_bytes:,} (the "
                "search service's setting max_image_bytes): send a smaller copy, or a reference "
                "(image_uri)",
                field=field,
            )
        return image


def _check_own(shard: ShardApi, item_id: str, tenant: Tenant) -> None:
    """Hold that an id is not that of another's item, before the image is queued for both of
    two collections: the second may not have the item yet.

    Raises:
        PermissionDenied: it is.
    """
    (item,) = shard.get([item_id], Fields(metadata=True))
    if item is not None and not tenant.owns(item.metadata or {}):
        raise PermissionDenied(
            "this API key may not write an item of that id: take another", "upload.id"
        )


def _check_policy(policy: int, spec: CollectionSpec) -> None:
    """Refuse a policy that has no threshold to go by."""
    if (
        policy > collection_pb2.DUPLICATE_POLICY_OFF
        and spec.duplicates.policy is DuplicatePolicy.OFF
    ):
        raise InvalidField(
            "upload.duplicate_policy",
            "the collection has no threshold for duplicates: set its policy first",
        )
