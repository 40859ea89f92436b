"""Makes a built collection known: all at once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from lookalike.v1 import snapshot_pb2, snapshot_pb2_grpc
from lookalike.wire.channel import ChannelOptions, TlsFiles, sync_channel
from lookalike.wire.errors import AlreadyExists
from lookalike_bulk.options import Options
from search_service.cluster.log import CollectionLog, connect
from search_service.cluster.names import SharedCatalog
from search_service.domain.collection import CollectionSpec

_CHUNK_BYTES = 1 << 20


def check_free(options: Options) -> None:
    """Hold that the name is free, before any work.

    Raises:
        AlreadyExists: a collection has it, on the cluster.
        Unavailable: the cluster's catalog cannot be read.
    """
    if not options.cluster_log:
        return  # the server says so when the snapshot is restored, and nothing is lost
    client = connect(options.cluster_log)
    names = SharedCatalog(client, options.cluster_key_prefix).load().names
    if names.uid_of(options.collection) is not None:
        raise AlreadyExists("collection", f'there is "{options.collection}" already')


def publish_on_cluster(options: Options, spec: CollectionSpec, position: int) -> None:
    """Write the collection into the catalog: fronts find it, and replicas fetch their snapshots.

    Raises:
        AlreadyExists: the name was taken meanwhile.
        Unavailable: the log's Redis is away.
    """
    client = connect(options.cluster_log)
    log = CollectionLog(client, options.cluster_key_prefix, spec.uid, spec.partitions)
    log.start_at(position)
    catalog = SharedCatalog(client, options.cluster_key_prefix)
    before = catalog.load()
    if before.names.uid_of(spec.name) is not None:
        raise AlreadyExists("collection", f'there is "{spec.name}" already')
    names = before.names.with_collection(spec.name, spec.uid)
    catalog.save(names, {**before.specs, spec.uid: spec}, before)


def publish_on_server(options: Options, archive: Path) -> None:
    """Upload the snapshot to a search service, and restore it under the collection's name.

    Raises:
        grpc.RpcError: the service refuses.
    """
    tls = None
    if options.tls_ca is not None or options.tls_certificate is not None:
        tls = TlsFiles(ca=options.tls_ca, certificate=options.tls_certificate, key=options.tls_key)
    with sync_channel(options.address, ChannelOptions(tls=tls)) as channel:
        stub = snapshot_pb2_grpc.SnapshotServiceStub(channel)
        uploaded = stub.UploadSnapshot(_chunks(archive))
        snapshot_id = uploaded.snapshot.snapshot_id
        stub.RestoreSnapshot(
            snapshot_pb2.RestoreSnapshotRequest(
                snapshot_id=snapshot_id, collection=options.collection
            )
        )
        stub.DeleteSnapshot(snapshot_pb2.DeleteSnapshotRequest(snapshot_id=snapshot_id))


def _chunks(archive: Path) -> Iterator[snapshot_pb2.UploadSnapshotRequest]:
    with archive.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            yield snapshot_pb2.UploadSnapshotRequest(chunk=chunk)
