"""`lookalike keys`: the file of the API keys that services ask for."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from lookalike.wire import keys as wire
from lookalike.wire.errors import InvalidField
from lookalike.wire.keys import KeyRecord, Scope
from lookalike_client.cli.output import complain
from lookalike_client.cli.session import Session, offline

_FILE = click.Path(dir_okay=False, path_type=Path)
_file_option = click.option(
    "--file", required=True, type=_FILE, help="File of keys, as services are given by --keys-file."
)


@click.group()
@offline
def keys(session: Session) -> None:
    """Make, list and revoke API keys in a file that services read.

    A service takes a change within a second. The file holds no key, but what tells whether
    a key is one of them.
    """
    click.get_current_context().obj = session


@keys.command()
@_file_option
@click.option("--name", required=True, help="What it is for, as lists and the audit log say it.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice([scope.value for scope in Scope]),
    help="May be repeated.  [default: read]",
)
@click.option(
    "--collection",
    "collections",
    multiple=True,
    help='Name or alias; "*" stands for any characters. May be repeated.  [default: "*"]',
)
@click.option(
    "--tenant",
    "tenants",
    multiple=True,
    help="FIELD=VALUE: only items whose metadata says so. May be repeated; all must hold.",
)
@click.option("--calls-per-second", type=click.FloatRange(min=0, min_open=True), help="At most.")
@click.option("--calls-at-once", type=click.IntRange(1), help="At most, streams included.")
@click.option("--days", type=click.FloatRange(min=0, min_open=True), help="Until it expires.")
@offline
def make(
    session: Session,
    file: Path,
    name: str,
    scopes: Sequence[str],
    collections: Sequence[str],
    tenants: Sequence[str],
    calls_per_second: float | None,
    calls_at_once: int | None,
    days: float | None,
) -> None:
    """Make a key and print it, once; the file is made if need be."""
    allowed = frozenset(map(Scope, scopes)) or frozenset({Scope.READ})
    tenant = wire.read_tenant(dict(map(_pair, tenants)))
    if tenant and Scope.ADMIN in allowed:
        raise click.UsageError("A key of a tenant has no scope admin: that is about all items.")
    now = datetime.now(UTC).replace(microsecond=0)
    key_id, token = wire.new_token()
    record = KeyRecord(
        id=key_id,
        name=name,
        sha256=wire.digest(token),
        scopes=allowed,
        collections=tuple(collections) or ("*",),
        tenant=tenant,
        calls_per_s=calls_per_second,
        calls_at_once=calls_at_once,
        create_time=now,
        expire_time=None if days is None else now + timedelta(days=days),
    )
    with _changed(file) as records:
        records.append(record)
    if session.output.as_json:
        session.output.document({"id": key_id, "key": token})
        return
    complain(f"key {key_id}; it is shown this once:")
    session.output.text(token)


@keys.command("list")
@_file_option
@offline
def list_keys(session: Session, file: Path) -> None:
    """List the keys of a file, without what they are."""
    records = wire.read(file)
    now = datetime.now(UTC)
    if session.output.as_json:
        session.output.document({"keys": [_told(record) for record in records]})
        return
    session.output.table(
        "",
        ["id", "name", "scopes", "collections", "tenant", "calls/s>", "expires"],
        [
            (
                record.id,
                record.name,
                ", ".join(sorted(record.scopes)),
                ", ".join(record.collections),
                ", ".join(f"{'.'.join(path)}={json.dumps(value)}" for path, value in record.tenant),
                "" if record.calls_per_s is None else f"{record.calls_per_s:g}",
                "expired" if record.expired(now) else _day(record.expire_time),
            )
            for record in records
        ],
    )


@keys.command()
@_file_option
@click.argument("key_id")
@offline
def revoke(session: Session, file: Path, key_id: str) -> None:
    """Take a key out of the file; calls under way with it end at their next message."""
    with _changed(file) as records:
        left = [record for record in records if record.id != key_id]
        if len(left) == len(records):
            raise InvalidField("key_id", f"{file} has no key {key_id}")
        records[:] = left
    if session.output.as_json:
        session.output.document({"id": key_id, "revoked": True})
    else:
        session.output.text(f"revoked {key_id}")


@contextmanager
def _changed(file: Path) -> Iterator[list[KeyRecord]]:
    """Yield the keys of a file, to be changed; one at a time."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.with_name(f".{file.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        records = list(wire.read(file)) if file.exists() else []
        yield records
        wire.write(file, records)


def _pair(text: str) -> tuple[str, object]:
    field, equals, value = text.partition("=")
    if not equals or not field.strip():
        raise click.UsageError(f"Write a tenant as FIELD=VALUE, not {text!r}.")
    try:
        read: object = json.loads(value)
    except ValueError:
        read = value.strip()
    return field.strip(), read


def _told(record: KeyRecord) -> dict[str, object]:
    return {
        "id": record.id,
        "name": record.name,
        "scopes": sorted(record.scopes),
        "collections": record.collections,
        "tenant": {".".join(path): value for path, value in record.tenant},
        "calls_per_s": record.calls_per_s,
        "calls_at_once": record.calls_at_once,
        "create_time": record.create_time,
        "expire_time": record.expire_time,
    }


def _day(time: datetime | None) -> str:
    return "" if time is None else time.date().isoformat()
