"""Makes a built collection known: all at once."""

from __future__ import annotations

from pathlib import Path

from lookalike.wire.errors import AlreadyExists, NotFound, Reason, Unavailable
from lookalike_bulk.options import Options
from lookalike_client import Client
from lookalike_client.settings import ClientSettings
from search_service.cluster.connection import connect
from search_service.cluster.log import CollectionLog
from search_service.cluster.names import SharedCatalog
from search_service.domain.collection import CollectionSpec


def check_free(options: Options, server: ClientSettings) -> None:
    """Hold that the name is free and that it can be published, before any work.

    Raises:
        AlreadyExists: a collection or an alias has it.
        LookalikeError: the cluster's catalog cannot be read, or the service is away, or asks
            for another key.
    """
    if not options.cluster_log:
        with _client(server) as service:
            try:
                service.collections.get(options.collection)
            except NotFound:
                return
        raise AlreadyExists("collection", f'there is "{options.collection}" already')
    client = connect(options.cluster_log)
    names = SharedCatalog(client, options.cluster_key_prefix).load().names
    if names.uid_of(options.collection) is not None:
        raise AlreadyExists("collection", f'there is "{options.collection}" already')


def publish_on_cluster(options: Options, spec: CollectionSpec, position: int) -> None:
    """Write the collection into the catalog: fronts find it, and replicas fetch their snapshots.

    Raises:
        AlreadyExists: the name was taken meanwhile, or the collection has another name already.
        Unavailable: the log's Redis is away.
    """
    client = connect(options.cluster_log)
    catalog = SharedCatalog(client, options.cluster_key_prefix)
    before = catalog.load()
    if before.names.uid_of(spec.name) is not None:
        raise AlreadyExists("collection", f'there is "{spec.name}" already')
    if (name := before.names.name_of(spec.uid)) is not None:
        raise AlreadyExists(
            "collection",
            f'what this work folder holds is published as "{name}"; give it an alias, or take '
            "another folder",
        )
    if spec.uid in before.leaving:
        raise Unavailable(
            "what this work folder holds was published and is being deleted: try again later",
            reason=Reason.NOT_READY,
        )
    log = CollectionLog(client, options.cluster_key_prefix, spec.uid, spec.partitions)
    log.start_at(position)
    names = before.names.with_collection(spec.name, spec.uid)
    catalog.save(before.changed(names, {**before.specs, spec.uid: spec}), before)


def publish_on_server(options: Options, server: ClientSettings, archive: Path) -> None:
    """Upload the snapshot to a search service, and restore it under the collection's name.

    Raises:
        LookalikeError: the service refuses, or is away.
    """
    with _client(server) as service:
        snapshot = service.snapshots.upload(archive)
        service.snapshots.restore(snapshot.snapshot_id, options.collection)
        service.snapshots.delete(snapshot.snapshot_id)


def _client(server: ClientSettings) -> Client:
    return Client(server.address, tls=server.tls, token=server.key, use_proxy=server.use_proxy)
