"""`lookalike.v1.SnapshotService`: translates and delegates."""

# ruff: noqa: N802 - the contract names the methods

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from lookalike.v1 import snapshot_pb2 as pb
from lookalike.v1 import snapshot_pb2_grpc
from lookalike.wire.errors import Exhausted, InvalidField, LimitExceeded
from search_service import limits
from search_service.access.gate import Gate
from search_service.offload import Offload
from search_service.servicers.paging import make_token, read_token, scope_of
from search_service.snapshots.library import Snapshots
from search_service.snapshots.shelf import Snapshot

SERVICE_NAME = "lookalike.v1.SnapshotService"

Context = grpc.aio.ServicerContext[Any, Any]

_MAX_CHUNK_BYTES = 16 << 20
# Each holds a thread, or reads the disk: more at once only take turns.
_MAX_UPLOADS = 2
_MAX_DOWNLOADS = 4


class SnapshotServicer(snapshot_pb2_grpc.SnapshotServiceServicer):
    """The service over the snapshots; everything but listing runs in threads."""

    def __init__(self, gate: Gate, snapshots: Snapshots, jobs: Offload, pieces: Offload) -> None:
        """`jobs` runs what takes long, `pieces` reads a piece of an archive."""
        self._gate = gate
        self._snapshots = snapshots
        self._jobs = jobs
        self._pieces = pieces
        self._uploads = _Places("uploads", _MAX_UPLOADS)
        self._downloads = _Places("downloads", _MAX_DOWNLOADS)

    async def CreateSnapshot(
        self, request: pb.CreateSnapshotRequest, context: Context
    ) -> pb.CreateSnapshotResponse:
        """Keep the state of a collection."""
        self._gate.find(request.collection)
        snapshot = await self._jobs.run(self._snapshots.create, request.collection)
        return pb.CreateSnapshotResponse(snapshot=_message(snapshot))

    async def ListSnapshots(
        self, request: pb.ListSnapshotsRequest, context: Context
    ) -> pb.ListSnapshotsResponse:
        """List a page of snapshots."""
        page_size = limits.page_size(request.page_size)
        scope = scope_of("snapshots", request.collection)
        after = read_token(scope, request.page_token)
        found = [one for one in self._snapshots.list(request.collection) if _key(one) > after]
        page = found[:page_size]
        more = len(found) > page_size
        return pb.ListSnapshotsResponse(
            snapshots=[_message(one) for one in page],
            next_page_token=make_token(scope, _key(page[-1])) if more else "",
        )

    async def DeleteSnapshot(
        self, request: pb.DeleteSnapshotRequest, context: Context
    ) -> pb.DeleteSnapshotResponse:
        """Remove a snapshot."""
        await self._pieces.run(self._snapshots.delete, request.snapshot_id)
        return pb.DeleteSnapshotResponse()

    async def DownloadSnapshot(
        self, request: pb.DownloadSnapshotRequest, context: Context
    ) -> AsyncIterator[pb.DownloadSnapshotResponse]:
        """Stream an archive."""
        with self._downloads.taken():
            chunks = self._snapshots.download(request.snapshot_id)
            while (chunk := await self._pieces.run(next, chunks, None)) is not None:
                if chunk:
                    yield pb.DownloadSnapshotResponse(chunk=chunk)

    async def UploadSnapshot(
        self, request_iterator: AsyncIterator[pb.UploadSnapshotRequest], context: Context
    ) -> pb.UploadSnapshotResponse:
        """Take an archive in."""
        with self._uploads.taken():
            chunks = _chunks(request_iterator, asyncio.get_running_loop())
            snapshot, known = await self._jobs.run(self._snapshots.upload, chunks)
        return pb.UploadSnapshotResponse(snapshot=_message(snapshot), already_there=known)

    async def RestoreSnapshot(
        self, request: pb.RestoreSnapshotRequest, context: Context
    ) -> pb.RestoreSnapshotResponse:
        """Make a collection from a snapshot."""
        if not request.collection:
            raise InvalidField("collection", "name the new collection")
        uid, items = await self._jobs.run(
            self._snapshots.restore, request.snapshot_id, request.collection
        )
        return pb.RestoreSnapshotResponse(collection_uid=uid, items=items)


class _Places:
    """How many streams may be open; past that they are refused."""

    def __init__(self, what: str, count: int) -> None:
        self._what = what
        self._free = count

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Hold a place.

        Raises:
            Exhausted: all are taken.
        """
        if not self._free:
            raise Exhausted(f"too many {self._what} at once: try again later", retry_delay_s=5.0)
        self._free -= 1
        try:
            yield
        finally:
            self._free += 1


def _chunks(
    requests: AsyncIterator[pb.UploadSnapshotRequest], loop: asyncio.AbstractEventLoop
) -> Iterator[bytes]:
    """Yield what a stream brings, on another thread than the loop's; ends with the call."""

    async def take() -> bytes | None:
        async for request in requests:
            return request.chunk
        return None

    while (chunk := asyncio.run_coroutine_threadsafe(take(), loop).result()) is not None:
        if len(chunk) > _MAX_CHUNK_BYTES:
            raise LimitExceeded("chunk", "a chunk holds at most 16 MiB")
        yield chunk


def _key(snapshot: Snapshot) -> str:
    """Return what sorts newest first; times below 2**63 microseconds have 19 digits."""
    return f"{2**63 - snapshot.manifest.create_time_us:019d}-{snapshot.id}"


def _message(snapshot: Snapshot) -> pb.Snapshot:
    manifest = snapshot.manifest
    message = pb.Snapshot(
        snapshot_id=snapshot.id,
        collection=manifest.collection,
        collection_uid=manifest.collection_uid,
        dimension=manifest.dimension,
        model_fingerprint=manifest.model_fingerprint,
        items=manifest.items,
        size_bytes=snapshot.size_bytes,
    )
    message.create_time.CopyFrom(Timestamp())
    message.create_time.FromMicroseconds(manifest.create_time_us)
    return message
