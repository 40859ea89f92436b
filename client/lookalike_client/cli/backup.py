"""`lookalike backup`: snapshots in an object store."""

from __future__ import annotations

import click

from lookalike.wire.errors import LookalikeError, Unavailable
from lookalike_client.backups import keeping
from lookalike_client.backups.place import Backup, BackupError, Place
from lookalike_client.cli.session import Session, connected


@click.group()
@connected
def backup(session: Session) -> None:
    """Keep snapshots in an object store, and restore them.

    URL is s3://bucket/prefix, gs://bucket/prefix, az://container/prefix or file:///folder.
    Credentials come from where the stores' own tools look for them, such as
    AWS_ACCESS_KEY_ID; AWS_ENDPOINT_URL names another S3.
    """


@backup.command()
@click.argument("url")
@click.option(
    "-c", "--collection", "names", multiple=True, help="Name or alias; all where none is given."
)
@click.option(
    "--keep", type=click.IntRange(min=1), help="Newest of each collection to keep; all without it."
)
@connected
def create(session: Session, url: str, names: tuple[str, ...], keep: int | None) -> int:
    """Back up collections to URL; writes and searches go on.

    A collection that fails does not keep the others from being backed up.
    """
    place = _place(url, make=True)
    made: list[Backup] = []
    removed: list[Backup] = []
    failed: list[tuple[str, str]] = []
    with session.client() as client:
        for name in names or [each.name for each in client.collections.list()]:
            try:
                one = keeping.create(client, place, name)
                made.append(one)
                if keep is not None:
                    removed += keeping.thin(place, one.collection, keep)
            except Unavailable:  # nor would it take the others
                raise
            except (BackupError, LookalikeError) as error:
                failed.append((name, str(error)))
    if session.output.as_json:
        session.output.document(
            {
                "backups": [_row(each) for each in made],
                "removed": [_row(each) for each in removed],
                "failed": [{"collection": name, "error": text} for name, text in failed],
            }
        )
    else:
        for one in made:
            session.output.text(f"{one.collection}: {one.size_bytes / 1e6:,.1f} MB as {one.name}")
        if removed:
            session.output.text(f"removed {len(removed)} older")
    for name, text in failed:
        click.echo(f"error: {name}: {text}", err=True)
    return 1 if failed else 0


@backup.command("list")
@click.argument("url")
@click.option("-c", "--collection", default="", help="Only of this collection.")
@connected
def list_backups(session: Session, url: str, collection: str) -> None:
    """List what is kept at URL, the newest of each collection last."""
    try:
        found = _place(url).list(collection)
    except BackupError as error:
        raise click.ClickException(str(error)) from error
    if session.output.as_json:
        session.output.document({"backups": [_row(each) for each in found]})
        return
    rows = [
        (
            each.collection,
            each.time.isoformat(timespec="seconds"),
            f"{each.size_bytes / 1e6:,.1f} MB",
            each.snapshot_id,
        )
        for each in found
    ]
    session.output.table("", ["collection", "taken", "size>", "snapshot"], rows)


@backup.command()
@click.argument("url")
@click.argument("collection")
@click.option("--as", "name", help="Name of the new collection; that of the old one without it.")
@click.option("--snapshot", default="", help="The snapshot to take; the newest without it.")
@connected
def restore(session: Session, url: str, collection: str, name: str | None, snapshot: str) -> None:
    """Make a new collection from the newest backup of COLLECTION at URL.

    Its name must be free; aliases are not in a backup.
    """
    place = _place(url)
    try:
        chosen = keeping.newest(place, collection, snapshot)
        with session.client() as client:
            restored = keeping.restore(client, place, chosen, name or collection)
    except BackupError as error:
        raise click.ClickException(str(error)) from error
    if session.output.as_json:
        session.output.document(
            {
                "collection": name or collection,
                "collection_uid": restored.collection_uid,
                "items": restored.items,
                "backup": _row(chosen),
            }
        )
        return
    taken = chosen.time.isoformat(timespec="seconds")
    session.output.text(f"restored {restored.items:,} items of {taken} as {name or collection}")


def _place(url: str, *, make: bool = False) -> Place:
    try:
        return Place(url, make=make)
    except BackupError as error:
        raise click.ClickException(str(error)) from error


def _row(each: Backup) -> dict[str, object]:
    return {
        "collection": each.collection,
        "time": each.time.isoformat(),
        "snapshot_id": each.snapshot_id,
        "size_bytes": each.size_bytes,
        "object": each.name,
    }
