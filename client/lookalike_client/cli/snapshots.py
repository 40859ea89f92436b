"""`lookalike snapshots`."""

from __future__ import annotations

from pathlib import Path

import click

from lookalike_client import Client
from lookalike_client.cli.session import Session, confirm, connected, grouping, one_collection
from lookalike_client.types import Snapshot

_file = click.Path(dir_okay=False, path_type=Path)


@click.group(invoke_without_command=True)
@grouping
def snapshots(context: click.Context) -> None:
    """Keep the state of collections and restore it; list snapshots by default."""
    if context.invoked_subcommand is None:
        context.invoke(list_snapshots)


@snapshots.command()
@click.option("-c", "--collection", default="images", show_default=True, help="Name or alias.")
@connected
def create(session: Session, collection: str) -> None:
    """Keep a collection as it is now; writes and searches go on."""
    with session.client() as client:
        _print(session, client.snapshots.create(collection))


@snapshots.command("list")
@click.option("-c", "--collection", default="", help="Only of this collection.")
@connected
def list_snapshots(session: Session, collection: str = "") -> None:
    """List snapshots, newest first."""
    with session.client() as client:
        found = list(client.snapshots.list(collection))
    if session.output.as_json:
        session.output.document({"snapshots": found})
        return
    session.output.table(
        "",
        ["id", "collection", "items>", "dimension>", "size>", "taken"],
        [
            (
                each.snapshot_id,
                each.collection,
                f"{each.items:,}",
                each.dimension,
                _size(each),
                _time(each),
            )
            for each in found
        ],
    )


@snapshots.command()
@click.argument("snapshot_id")
@click.option("--yes", is_flag=True, help="Do not ask.")
@connected
def delete(session: Session, snapshot_id: str, yes: bool) -> None:
    """Delete a snapshot; collections restored from it stay."""
    if not yes:
        confirm(f"Delete snapshot {snapshot_id}?")
    with session.client() as client:
        client.snapshots.delete(snapshot_id)
    if session.output.as_json:
        session.output.document({"snapshot_id": snapshot_id, "deleted": True})
    else:
        session.output.text(f"deleted snapshot {snapshot_id}")


@snapshots.command()
@click.argument("snapshot_id")
@click.argument("file", type=_file)
@connected
def download(session: Session, snapshot_id: str, file: Path) -> None:
    """Write a snapshot to FILE, a tar archive."""
    with session.client() as client:
        size_bytes = client.snapshots.download(snapshot_id, file)
    if session.output.as_json:
        session.output.document({"file": str(file), "size_bytes": size_bytes})
    else:
        session.output.text(f"wrote {size_bytes / 1e6:,.1f} MB to {file}")


@snapshots.command()
@click.argument("file", type=_file)
@connected
def upload(session: Session, file: Path) -> None:
    """Hand a downloaded snapshot to the service, which checks all of it.

    It keeps its id. One that the service has already is not kept twice.
    """
    with session.client() as client:
        uploaded = client.snapshots.upload(file)
    _print(session, uploaded)
    if uploaded.already_there and not session.output.as_json:
        session.output.text("the service had it already: it is not kept twice")


@snapshots.command()
@click.argument("snapshot_id")
@click.argument("collection", required=False)
@click.option("-c", "--collection", "named", help="The same as COLLECTION.")
@connected
def restore(session: Session, snapshot_id: str, collection: str | None, named: str | None) -> None:
    """Make COLLECTION, a new one, from a snapshot, which brings no aliases."""
    collection = one_collection(collection, named)
    with session.client() as client:
        restored = client.snapshots.restore(snapshot_id, collection)
        source = _source(client, snapshot_id)
        aliases = [each.alias for each in client.collections.aliases() if each.collection == source]
    if session.output.as_json:
        session.output.document(
            {
                "collection": collection,
                "collection_uid": restored.collection_uid,
                "items": restored.items,
                "aliases_left": aliases,
            }
        )
        return
    session.output.text(f"restored {restored.items:,} items as {collection}")
    if aliases:
        session.output.text(f"these aliases still lead to {source}: {', '.join(aliases)}")
    else:
        session.output.text("no alias came with it: a snapshot holds none")
    session.output.text(f"`lookalike collections alias ALIAS {collection}` sets one")


def _source(client: Client, snapshot_id: str) -> str:
    """Return the collection that a snapshot was taken of; empty if it is gone by now."""
    found = (each for each in client.snapshots.list() if each.snapshot_id == snapshot_id)
    return next((each.collection for each in found), "")


def _print(session: Session, snapshot: Snapshot) -> None:
    if session.output.as_json:
        session.output.document(snapshot)
        return
    session.output.facts(
        {
            "snapshot": snapshot.snapshot_id,
            "collection": snapshot.collection,
            "items": f"{snapshot.items:,}",
            "size": _size(snapshot),
            "taken": _time(snapshot),
        }
    )


def _size(snapshot: Snapshot) -> str:
    return f"{snapshot.size_bytes / 1e6:,.1f} MB"


def _time(snapshot: Snapshot) -> str:
    return snapshot.create_time.isoformat(timespec="seconds")
