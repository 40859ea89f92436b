"""Snapshots, asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import BinaryIO

import grpc

from lookalike.v1 import snapshot_pb2, snapshot_pb2_grpc
from lookalike_client import archive_files, calls, convert
from lookalike_client.snapshots_client import LONG_TIMEOUT_S
from lookalike_client.types import RestoredCollection, Snapshot


class AsyncSnapshots:
    """Keeps the state of collections, carries it about, and restores it."""

    def __init__(self, channel: grpc.aio.Channel, timeout_s: float) -> None:
        self._stub = snapshot_pb2_grpc.SnapshotServiceStub(channel)
        self._timeout_s = timeout_s

    async def create(self, collection: str, *, timeout_s: float = LONG_TIMEOUT_S) -> Snapshot:
        """Keep a collection as it is now; writes and searches go on meanwhile."""
        request = snapshot_pb2.CreateSnapshotRequest(collection=collection)
        with calls.translated():
            response = await self._stub.CreateSnapshot(request, timeout=timeout_s)
        return convert.snapshot(response.snapshot)

    async def list(self, collection: str = "") -> AsyncIterator[Snapshot]:
        """Yield the snapshots of a collection's name, or all; newest first."""
        token = ""
        while True:
            request = snapshot_pb2.ListSnapshotsRequest(collection=collection, page_token=token)
            with calls.translated():
                response = await self._stub.ListSnapshots(request, timeout=self._timeout_s)
            for each in response.snapshots:
                yield convert.snapshot(each)
            token = response.next_page_token
            if not token:
                return

    async def delete(self, snapshot_id: str) -> None:
        """Remove a snapshot; collections that were restored from it stay."""
        request = snapshot_pb2.DeleteSnapshotRequest(snapshot_id=snapshot_id)
        with calls.translated():
            await self._stub.DeleteSnapshot(request, timeout=self._timeout_s)

    async def download(
        self, snapshot_id: str, path: str | Path, *, timeout_s: float = LONG_TIMEOUT_S
    ) -> int:
        """Write a snapshot's archive to a file; return its bytes.

        The file is there, whole, or not at all.

        Raises:
            OSError: the file cannot be written.
        """
        request = snapshot_pb2.DownloadSnapshotRequest(snapshot_id=snapshot_id)
        with calls.translated(), archive_files.whole_file(Path(path)) as file:
            async for response in self._stub.DownloadSnapshot(request, timeout=timeout_s):
                await asyncio.to_thread(file.write, response.chunk)
            return file.tell()

    async def upload(self, path: str | Path, *, timeout_s: float = LONG_TIMEOUT_S) -> Snapshot:
        """Hand an archive to the service, which checks it as a whole.

        Raises:
            OSError: the file cannot be read.
        """
        file = await asyncio.to_thread(Path(path).open, "rb")
        with file, calls.translated():
            response = await self._stub.UploadSnapshot(_requests(file), timeout=timeout_s)
        return convert.snapshot(response.snapshot)

    async def restore(
        self, snapshot_id: str, collection: str, *, timeout_s: float = LONG_TIMEOUT_S
    ) -> RestoredCollection:
        """Make a new collection from a snapshot."""
        request = snapshot_pb2.RestoreSnapshotRequest(
            snapshot_id=snapshot_id, collection=collection
        )
        with calls.translated():
            response = await self._stub.RestoreSnapshot(request, timeout=timeout_s)
        return RestoredCollection(response.collection_uid, response.items)


async def _requests(file: BinaryIO) -> AsyncIterator[snapshot_pb2.UploadSnapshotRequest]:
    pieces = archive_files.pieces(file)
    while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
        yield archive_files.upload_request(piece)
