"""Making, thinning out and restoring backups."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from lookalike.wire.errors import LookalikeError
from lookalike_client._sync.client import Client
from lookalike_client.backups.place import Backup, BackupError, Place
from lookalike_client.types import RestoredCollection


def create(client: Client, place: Place, collection: str) -> Backup:
    """Take a snapshot of a collection and keep it at `place`, under the collection's name.

    The service keeps it only if it had it before: a backup must not fill the service's disk.

    Raises:
        BackupError: the place does not take it.
        LookalikeError: the service takes or gives no snapshot.
    """
    written = 0

    def counted() -> Iterator[bytes]:
        nonlocal written
        for chunk in client.snapshots.download_chunks(snapshot.snapshot_id):
            written += len(chunk)
            yield chunk

    before = {each.snapshot_id for each in client.snapshots.list()}
    snapshot = client.snapshots.create(collection)
    try:
        backup = Backup(snapshot.collection, snapshot.create_time, snapshot.snapshot_id)
        place.put(backup, counted())
        kept = place.size_bytes(backup)
    finally:
        if snapshot.snapshot_id not in before:
            client.snapshots.delete(snapshot.snapshot_id)
    if kept != written:
        raise BackupError(f"{place.url}: {backup.name} has {kept:,} bytes, not {written:,}")
    return replace(backup, size_bytes=kept)


def thin(place: Place, collection: str, keep: int) -> list[Backup]:
    """Remove all backups of a collection but the `keep` newest; return the removed ones.

    Raises:
        BackupError: the place cannot be read, or does not remove them.
    """
    old = place.list(collection)[:-keep]
    place.delete(old)
    return old


def newest(place: Place, collection: str, snapshot_id: str = "") -> Backup:
    """Return the newest backup of a collection, or the one of a snapshot.

    Raises:
        BackupError: there is none.
    """
    found = [each for each in place.list(collection) if snapshot_id in ("", each.snapshot_id)]
    if not found:
        which = f"snapshot {snapshot_id} of " if snapshot_id else ""
        raise BackupError(f"{place.url}: there is no backup of {which}{collection}")
    return found[-1]


def restore(client: Client, place: Place, backup: Backup, name: str) -> RestoredCollection:
    """Make the new collection `name` from a backup.

    Raises:
        BackupError: the backup cannot be read.
        LookalikeError: the service does not take it: the name is taken, it is damaged.
    """
    failures: list[BackupError] = []

    def chunks() -> Iterator[bytes]:
        # On a thread of gRPC's, which tells nobody why the chunks ended.
        try:
            yield from place.get(backup)
        except BackupError as error:
            failures.append(error)
            raise

    try:
        snapshot = client.snapshots.upload_chunks(chunks())
    except LookalikeError as error:
        if failures:
            raise failures[0] from error
        raise
    try:
        return client.snapshots.restore(snapshot.snapshot_id, name)
    finally:
        if not snapshot.already_there:
            client.snapshots.delete(snapshot.snapshot_id)
