# Made by client/unasync.py from _async/snapshots.py: change that file, then `make unasync`.
"""Snapshots."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import grpc

from lookalike.v1 import snapshot_pb2, snapshot_pb2_grpc
from lookalike_client import archive_files, calls, convert
from lookalike_client._sync.paging import pages
from lookalike_client.concurrency import threads
from lookalike_client.types import RestoredCollection, Snapshot

# Taking and restoring copy the store slowly on purpose, and archives may be large.
LONG_TIMEOUT_S = 3_600.0


class Snapshots:
    """Takes, lists, moves, removes and restores snapshots of collections."""

    def __init__(self, channel: grpc.Channel, explain: calls.Explain, timeout_s: float) -> None:
        self._explain = explain
        self._stub = snapshot_pb2_grpc.SnapshotServiceStub(channel)
        self._timeout_s = timeout_s

    def create(self, collection: str, *, timeout_s: float = LONG_TIMEOUT_S) -> Snapshot:
        """Take a snapshot of a collection; writes and searches go on meanwhile."""
        request = snapshot_pb2.CreateSnapshotRequest(collection=collection)
        with calls.translated(self._explain):
            response = self._stub.CreateSnapshot(request, timeout=timeout_s)
        return convert.snapshot(response.snapshot)

    def list(self, collection: str = "") -> Iterator[Snapshot]:
        """Yield the snapshots of a collection's name, or all; newest first."""
        request = snapshot_pb2.ListSnapshotsRequest(collection=collection)
        for page in pages(
            self._explain, self._stub.ListSnapshots, request, timeout_s=self._timeout_s
        ):
            for each in page.snapshots:
                yield convert.snapshot(each)

    def delete(self, snapshot_id: str) -> None:
        """Remove a snapshot; collections that were restored from it stay."""
        request = snapshot_pb2.DeleteSnapshotRequest(snapshot_id=snapshot_id)
        with calls.translated(self._explain):
            self._stub.DeleteSnapshot(request, timeout=self._timeout_s)

    def download(
        self, snapshot_id: str, path: str | Path, *, timeout_s: float = LONG_TIMEOUT_S
    ) -> int:
        """Write a snapshot's archive to a file; return its bytes.

        The file is there, whole, or not at all.

        Raises:
            OSError: the file cannot be written.
        """
        request = snapshot_pb2.DownloadSnapshotRequest(snapshot_id=snapshot_id)
        with calls.translated(self._explain), archive_files.whole_file(Path(path)) as file:
            for response in self._stub.DownloadSnapshot(request, timeout=timeout_s):
                threads.run_blocking(file.write, response.chunk)
            return file.tell()

    def download_chunks(
        self, snapshot_id: str, *, timeout_s: float = LONG_TIMEOUT_S
    ) -> Iterator[bytes]:
        """Yield a snapshot's archive in pieces of at most 1 MiB, to be kept elsewhere."""
        request = snapshot_pb2.DownloadSnapshotRequest(snapshot_id=snapshot_id)
        with calls.translated(self._explain):
            for response in self._stub.DownloadSnapshot(request, timeout=timeout_s):
                yield response.chunk

    def upload(self, path: str | Path, *, timeout_s: float = LONG_TIMEOUT_S) -> Snapshot:
        """Upload an archive; the service checks all of it before it takes it.

        The snapshot has the id that it was downloaded by, and is not kept twice.

        Raises:
            OSError: the file cannot be read.
        """
        file = threads.run_blocking(Path(path).open, "rb")
        with file:
            return self.upload_chunks(_pieces(file), timeout_s=timeout_s)

    def upload_chunks(
        self, chunks: threads.Items[bytes], *, timeout_s: float = LONG_TIMEOUT_S
    ) -> Snapshot:
        """Upload an archive in pieces of at most 16 MiB, as `upload` does with a file."""
        with calls.translated(self._explain):
            response = self._stub.UploadSnapshot(_requests(chunks), timeout=timeout_s)
        found = convert.snapshot(response.snapshot)
        return replace(found, already_there=response.already_there)

    def restore(
        self, snapshot_id: str, collection: str, *, timeout_s: float = LONG_TIMEOUT_S
    ) -> RestoredCollection:
        """Make a new collection from a snapshot."""
        request = snapshot_pb2.RestoreSnapshotRequest(
            snapshot_id=snapshot_id, collection=collection
        )
        with calls.translated(self._explain):
            response = self._stub.RestoreSnapshot(request, timeout=timeout_s)
        return RestoredCollection(response.collection_uid, response.items)


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    while piece := threads.run_blocking(file.read, archive_files.PIECE_BYTES):
        yield piece


def _requests(
    chunks: threads.Items[bytes],
) -> Iterator[snapshot_pb2.UploadSnapshotRequest]:
    for chunk in threads.each_of(chunks):
        yield snapshot_pb2.UploadSnapshotRequest(chunk=chunk)
