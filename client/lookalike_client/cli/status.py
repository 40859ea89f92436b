"""`lookalike status` and `lookalike version`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import metadata

import click

from lookalike.wire.errors import Unavailable, Unsupported
from lookalike_client import Client
from lookalike_client.cli.session import Session, connected, offline
from lookalike_client.types import Collection, IngestStatus, Partition


@click.command()
@connected
def status(session: Session) -> int:
    """Show whether the service is ready, its collections, and how ingestion goes."""
    with session.client() as client:
        ready = client.ready()
        collections = list(client.collections.list()) if ready else []
        partitions = {each.name: client.collections.partitions(each.name) for each in collections}
        ingest, trouble = _ingest(client) if ready else (None, "")
    if session.output.as_json:
        session.output.document(
            {
                "address": session.settings.address,
                "ready": ready,
                "collections": collections,
                "partitions": {name: found for name, found in partitions.items() if found},
                "ingest": ingest,
                "ingest_error": trouble or None,
            }
        )
    else:
        _show(session, ready, collections, ingest, trouble)
        _show_partitions(session, partitions)
    return 0 if ready else 1


@click.command()
@offline
def version(session: Session) -> None:
    """Show the version of this client."""
    try:
        number = metadata.version("lookalike")
    except metadata.PackageNotFoundError:  # run from a checkout
        number = "unknown (not installed)"
    if session.output.as_json:
        session.output.document({"version": number})
    else:
        session.output.text(f"lookalike {number}")


def _ingest(client: Client) -> tuple[IngestStatus | None, str]:
    try:
        return client.ingest_status(), ""
    except Unavailable as error:  # searching goes on without the queue
        return None, error.message
    except Unsupported:
        return None, "none: the search service runs without a queue (its setting redis)"


def _show_partitions(session: Session, partitions: Mapping[str, Sequence[Partition]]) -> None:
    rows = [
        (
            name,
            partition.number,
            replica.number,
            replica.state + (f": {replica.trouble}" if replica.trouble else ""),
            replica.node,
            f"{replica.items:,}",
            f"{replica.lag:,}",
            f"{partition.log_entries:,}",
        )
        for name, found in partitions.items()
        for partition in found
        for replica in partition.replicas
    ]
    if rows:
        # Short enough for 80 columns; `log` counts the entries of the partition's.
        headings = ["collection", "part>", "replica>", "state", "node", "items>", "lag>", "log>"]
        session.output.table("Replicas", headings, rows)


def _show(
    session: Session,
    ready: bool,
    collections: list[Collection],
    ingest: IngestStatus | None,
    trouble: str,
) -> None:
    state = "ready" if ready else "starting or stopping"
    session.output.facts({"search service": f"{session.settings.address}, {state}"})
    if collections:
        session.output.table(
            "Collections",
            ["name", "items>", "dimension>", "in graph>", "disk MB>", "model"],
            [
                (
                    each.name,
                    f"{each.stats.items:,}",
                    each.dimension,
                    f"{each.stats.graph_vectors:,}",
                    f"{each.stats.disk_bytes / 1e6:,.1f}",
                    each.model_fingerprint[:12] or "(external vectors)",
                )
                for each in collections
            ],
        )
    damaged = {each.name: each.stats.store_damage for each in collections}
    for name, damage in damaged.items():
        if damage:
            session.output.text(f"DAMAGED: {name}: {damage}")
    if ingest is None:
        if ready:
            session.output.facts({"ingestion": trouble})
        return
    oldest = "" if ingest.oldest_age_s is None else f", oldest {ingest.oldest_age_s:.1f} s"
    session.output.facts(
        {
            "queue": f"{ingest.queue_depth:,} waiting or under way{oldest}",
            "not taken yet": "unknown" if ingest.lag is None else f"{ingest.lag:,}",
            "queue bytes": f"{ingest.queue_bytes:,} of {ingest.max_queue_bytes:,}",
            "failures": f"{ingest.failures:,}",
        }
    )
    if ingest.lost:
        session.output.facts(
            {"lost": f"{ingest.lost:,} by the queue's server: index them again to store them"}
        )
    for warning in ingest.warnings:
        session.output.facts({"warning": warning})
    if ingest.workers:
        session.output.table(
            "Workers",
            ["name", "seen s ago>", "finished>", "failed>", "per second>", "paused"],
            [
                (
                    each.name,
                    f"{each.heartbeat_age_s:.1f}",
                    f"{each.finished:,}",
                    f"{each.failed:,}",
                    f"{each.rate_per_second:.1f}",
                    each.paused_reason,
                )
                for each in ingest.workers
            ],
        )
    else:
        session.output.text("no worker is running: what is queued waits")
