"""Looks a deployment over: what is in order, what is not, and what to change."""

from __future__ import annotations

import io
import ipaddress
import time
from collections.abc import Iterator, Sequence

from PIL import Image

from lookalike.wire.channel import TlsFiles
from lookalike_client import expiry
from lookalike_client._sync.client import Client
from lookalike_client.errors import LookalikeError, Unavailable
from lookalike_client.findings import Finding, Level
from lookalike_client.inputs import Query
from lookalike_client.types import Collection, IngestStatus, WorkerStatus

# A worker that lives says so every two seconds (`--heartbeat-s`).
_SILENT_S = 15.0
# Ten minutes of waiting is no peak any more.
_OLD_S = 600.0
_FULL_SHARE = 0.8
# Searches compare the side list each time: past a twentieth it costs more than the graph saves.
_SIDE_LIST_SHARE = 0.05


def examine(client: Client, address: str, *, tls: TlsFiles | None) -> Iterator[Finding]:
    """Yield what is found at a service that answers, as it is found.

    It changes nothing, and asks each model that a collection has for one vector.
    """
    yield about_transport(address, tls=tls is not None)
    if not client.ready():
        yield Finding(
            Level.FAILURE,
            "search service",
            "answers, and is starting or stopping",
            "wait; if it stays so, read its log for what it waits for",
        )
        return
    yield Finding(Level.OK, "search service", "ready")
    yield from expiry.examine(client, address, tls)
    collections = list(client.collections.list())
    if not collections:
        yield Finding(Level.OK, "collections", "none yet")
    for collection in collections:
        yield from about_collection(collection)
    yield from _models(client, collections)
    yield from _ingestion(client)


def about_transport(address: str, *, tls: bool) -> Finding:
    """Say whether what is sent to `address` can be read on the way."""
    if tls or _is_local(address):
        return Finding(Level.OK, "connection", "TLS" if tls else "this machine, without TLS")
    return Finding(
        Level.WARNING,
        "connection",
        f"{address} is reached without TLS",
        "give the service --tls-certificate and --tls-key, and callers --tls-ca",
    )


def _is_local(address: str) -> bool:
    host = address.rpartition(":")[0].strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or address.startswith("unix:")


def about_collection(collection: Collection) -> Iterator[Finding]:
    """Yield what its figures say."""
    stats, about = collection.stats, f"collection {collection.name}"
    before = Level.OK
    if stats.store_damage:
        before = Level.FAILURE
        yield Finding(
            before,
            about,
            f"its store is damaged: {stats.store_damage}",
            "restore a snapshot or a backup under another name, then delete this collection",
        )
    if stats.last_build_error:
        before = Level.FAILURE
        yield Finding(
            before,
            about,
            f"the last build failed: {stats.last_build_error}",
            "make room on the disk or in memory for the builder; it tries again by itself",
        )
    if stats.side_list_vectors > max(1_000, _SIDE_LIST_SHARE * stats.graph_vectors):
        before = Level.WARNING
        yield Finding(
            before,
            about,
            f"{stats.side_list_vectors:,} of {stats.graph_vectors:,} vectors are in no reach of "
            "their graph, and compared by each search",
            "import it into a new collection with the preset accurate",
        )
    if before is Level.OK:
        yield Finding(Level.OK, about, f"{stats.items:,} items")


def _models(client: Client, collections: Sequence[Collection]) -> Iterator[Finding]:
    """Have each model that a collection is bound to embed a picture."""
    by_model = {each.model_fingerprint: each for each in collections if each.model_fingerprint}
    for fingerprint, collection in sorted(by_model.items()):
        about = f"model {fingerprint[:12]}"
        begin_s = time.monotonic()
        try:
            client.search(collection.name, Query.by_image(_picture()), limit=1)
        except LookalikeError as error:
            yield Finding(
                Level.FAILURE,
                about,
                f"no picture can be searched in {collection.name}: {error.message}",
                "start an embedder with this model, and name it to the search service "
                "(--embedders)",
            )
        else:
            took_ms = (time.monotonic() - begin_s) * 1000
            yield Finding(
                Level.OK, about, f"a picture was embedded and searched in {took_ms:.0f} ms"
            )


def _picture() -> bytes:
    """Return a PNG that is not of one colour."""
    picture = Image.radial_gradient("L").resize((64, 64)).convert("RGB")
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def _ingestion(client: Client) -> Iterator[Finding]:
    try:
        status = client.ingest_status()
    except Unavailable as error:
        yield Finding(
            Level.FAILURE,
            "queue",
            f"Redis does not answer: {error.message}",
            "start it, or mend the search service's --redis",
        )
        return
    except LookalikeError as error:
        yield Finding(
            Level.WARNING,
            "queue",
            f"images cannot be submitted: {error.message}",
            "give the search service --redis, unless callers bring vectors of their own",
        )
        return
    yield from about_ingestion(status)


def about_ingestion(status: IngestStatus) -> Iterator[Finding]:
    """Yield what the state of the queue says."""
    if not status.max_queue_bytes:  # what a tenant is told: of its own, and of no worker
        yield Finding(Level.OK, "queue", f"{status.queue_depth:,} of this tenant's waiting")
        return
    troubles = [*_queue(status), *_workers(status)]
    if not troubles:
        waiting = f"{status.queue_depth:,} waiting, {len(status.workers)} workers"
        troubles = [Finding(Level.OK, "queue", waiting)]
    yield from troubles


def _queue(status: IngestStatus) -> Iterator[Finding]:
    for text in status.warnings:
        yield Finding(
            Level.WARNING, "queue", text, "mend the settings of Redis: docs/operation/index.md"
        )
    if status.lost:
        yield Finding(
            Level.WARNING,
            "queue",
            f"Redis lost {status.lost:,} accepted images",
            "index them again: what is stored is not sent twice",
        )
    if status.failures:
        yield Finding(
            Level.WARNING,
            "queue",
            f"{status.failures:,} images were given up",
            "see `lookalike failures`",
        )
    if status.queue_bytes > _FULL_SHARE * status.max_queue_bytes:
        yield Finding(
            Level.WARNING,
            "queue",
            f"holds {status.queue_bytes:,} of {status.max_queue_bytes:,} bytes",
            "add workers and embedders, or raise --max-queue-bytes below Redis' maxmemory",
        )
    if (status.oldest_age_s or 0.0) > _OLD_S:
        yield Finding(
            Level.WARNING,
            "queue",
            f"the oldest image waits for {status.oldest_age_s:,.0f} s",
            "add workers and embedders",
        )


def _workers(status: IngestStatus) -> Iterator[Finding]:
    alive = [each for each in status.workers if each.heartbeat_age_s < _SILENT_S]
    if not alive:
        yield Finding(
            Level.FAILURE if status.queue_depth else Level.WARNING,
            "workers",
            "none is running, so what is queued stays queued",
            "start one with the same --redis and --key-prefix as the search service",
        )
    yield from map(_paused, (each for each in alive if each.paused_reason))


def _paused(worker: WorkerStatus) -> Finding:
    return Finding(
        Level.WARNING,
        f"worker {worker.name}",
        f"is paused: {worker.paused_reason}",
        "mend the service that it waits for, or its --embedder and --search",
    )
