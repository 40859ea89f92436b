"""`lookalike delete` and `lookalike update`: items by id, or all that meet a filter."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import click

from lookalike_client.cli.change_run import Change, Told, run
from lookalike_client.cli.patches import read_object, read_patch
from lookalike_client.cli.session import DEFAULT_COLLECTION, Session, connected, one_collection
from lookalike_client.types import JsonValue, MutationResult, MutationStatus

C = TypeVar("C", bound=Callable[..., object])


@dataclass(frozen=True, slots=True)
class _Target:
    """Which items are meant: those of ids, or `many`."""

    collection: str
    ids: Sequence[str]
    many: bool


def _targets(command: C) -> C:
    """Give a command the options that say which items are meant."""
    options = (
        click.argument("ids", nargs=-1),
        click.option(
            "-c",
            "--collection",
            "named",
            help=f"Name or alias; {DEFAULT_COLLECTION} by default.",
        ),
        click.option("--filter", "condition", help="All items that meet it, such as: price < 50"),
        click.option("--all", "all_items", is_flag=True, help="All items."),
        click.option("--dry-run", is_flag=True, help="Only count those of --filter or --all."),
        click.option("--yes", is_flag=True, help="Do not ask."),
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.command()
@_targets
@connected
def delete(
    session: Session,
    ids: tuple[str, ...],
    named: str | None,
    condition: str | None,
    all_items: bool,
    dry_run: bool,
    yes: bool,
) -> int:
    """Delete items by id; exit code 1 if one is missing.

    With --filter or --all, delete all items that are meant, after a count and a
    question, and take the collection as the argument too. Broken off, the same
    command goes on with what is left.
    """
    target = _target(ids, named, condition, all_items=all_items, dry_run=dry_run)
    with session.client() as client:
        if not target.many:
            return _ended(session, client.delete(target.collection, ids), "deleted")

        def start(dry: bool) -> Iterator[Told]:
            told = client.delete_by_filter(
                target.collection, condition, all_items=all_items, dry_run=dry
            )
            return (Told(each.matched, each.items, each.deleted) for each in told)

        change = Change("delete", "deleted", target.collection, start)
        return run(session, change, dry_run=dry_run, yes=yes)


@click.command()
@_targets
@click.option(
    "--set", "sets", multiple=True, metavar="KEY=VALUE", help="Set a key; again for more."
)
@click.option("--unset", "unsets", multiple=True, metavar="KEY", help="Take a key away.")
@click.option("--merge", metavar="JSON", help="Merge an object into what is stored (RFC 7396).")
@click.option("--replace", "replacement", metavar="JSON", help="Replace all metadata by an object.")
@connected
def update(
    session: Session,
    ids: tuple[str, ...],
    named: str | None,
    condition: str | None,
    all_items: bool,
    dry_run: bool,
    yes: bool,
    sets: tuple[str, ...],
    unsets: tuple[str, ...],
    merge: str | None,
    replacement: str | None,
) -> int:
    """Change the metadata of items by id; exit code 1 if one is missing.

    KEY is a path as in filters, such as camera.model; VALUE is JSON, or else text.
    With --filter or --all, change all items that are meant, after a count and a
    question, and take the collection as the argument too. Broken off, the same
    command goes on with what is left.
    """
    target = _target(ids, named, condition, all_items=all_items, dry_run=dry_run)
    metadata = _metadata(sets, unsets, merge, replacement)
    merging = replacement is None
    with session.client() as client:
        if not target.many:
            updates = dict.fromkeys(ids, metadata)
            results = client.update_metadata(target.collection, updates, merge=merging)
            return _ended(session, results, "updated")

        def start(dry: bool) -> Iterator[Told]:
            told = client.update_by_filter(
                target.collection,
                metadata,
                condition,
                merge=merging,
                all_items=all_items,
                dry_run=dry,
            )
            return (
                Told(each.matched, each.items, each.updated, each.unchanged, each.failures)
                for each in told
            )

        change = Change("update", "updated", target.collection, start)
        return run(session, change, dry_run=dry_run, yes=yes)


def _target(
    ids: tuple[str, ...],
    named: str | None,
    condition: str | None,
    *,
    all_items: bool,
    dry_run: bool,
) -> _Target:
    many = condition is not None or all_items
    if not many:
        if not ids:
            raise click.UsageError("Give IDS, or --filter, or --all.")
        if dry_run:
            raise click.UsageError("--dry-run needs --filter or --all.")
        collection = one_collection(None, named, DEFAULT_COLLECTION)
        return _Target(collection, ids, many=False)
    if condition is not None and not condition.strip():
        raise click.UsageError("--filter holds no condition: give one, or --all.")
    if condition is not None and all_items:
        raise click.UsageError("Give --filter or --all, not both.")
    if len(ids) > 1:
        raise click.UsageError("Give IDS, or --filter, or --all, not several of them.")
    collection = one_collection(ids[0] if ids else None, named, DEFAULT_COLLECTION)
    return _Target(collection, (), many=True)


def _metadata(
    sets: Sequence[str], unsets: Sequence[str], merge: str | None, replacement: str | None
) -> dict[str, JsonValue]:
    changing = sets or unsets or merge is not None
    if replacement is not None and changing:
        raise click.UsageError("--replace takes none of --set, --unset and --merge beside it.")
    if replacement is not None:
        return read_object(replacement, "--replace")
    if not changing:
        raise click.UsageError("Say what to change: --set, --unset, --merge or --replace.")
    return read_patch(sets, unsets, merge)


def _ended(session: Session, results: Sequence[MutationResult], past: str) -> int:
    """Print what became of items by id; return the exit code."""
    if session.output.as_json:
        session.output.document({"results": results})
    else:
        for result in results:
            why = f": {result.error.message}" if result.error else ""
            ended = result.status.value.replace("_", " ")
            done = past if result.status is MutationStatus.APPLIED else ended
            session.output.text(f"{result.id}: {done}{why}")
    return 0 if all(each.status is MutationStatus.APPLIED for each in results) else 1
