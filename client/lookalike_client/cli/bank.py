"""`lookalike bank`: known images, their hashes, and whether others are among them."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TextIO

import click

from lookalike_client.cli.bank_match import match
from lookalike_client.cli.output import complain
from lookalike_client.cli.session import Session, confirm, connected, grouping
from lookalike_client.hash_lists import HashList, HashListForm, read_hash_list, write_hash_list
from lookalike_client.types import Bank

_list_file = click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path)
_collection = click.option(
    "-c", "--collection", default="images", show_default=True, help="Name or alias."
)


@click.group(invoke_without_command=True)
@grouping
def bank(context: click.Context) -> None:
    """Say whether images are known, by a bank of known ones; by default what it can match.

    A bank is a collection, and with it a list of PDQ hashes of images that nobody here holds.
    """
    if context.invoked_subcommand is None:
        context.invoke(show)


@bank.command()
@_collection
@connected
def show(session: Session, collection: str = "images") -> None:
    """Say what a bank can match, and with which threshold."""
    with session.client() as client:
        found = client.banks.get(collection)
    if session.output.as_json:
        session.output.document({"bank": found})
    else:
        session.output.facts(_facts(found))


@bank.command("import")
@click.argument("files", nargs=-1, required=True, type=_list_file)
@_collection
@click.option("--label", default="", help="Why they are known; for those without a label.")
@connected
def import_list(session: Session, files: tuple[Path, ...], collection: str, label: str) -> None:
    """Put the PDQ hashes in FILES on the list of a bank; - is stdin.

    Takes hashes a line, what pdq-photo-hasher and threatexchange print, and CSV with a
    column for the hash.
    """
    lists = [(file, _read(file)) for file in files]
    hashes = [
        each if each.label or not label else replace(each, label=label)
        for _, found in lists
        for each in found.hashes
    ]
    with session.client() as client:
        done = client.banks.import_hashes(collection, hashes)
    bad = sum(found.bad for _, found in lists)
    others = sum(found.others for _, found in lists)
    for file, found in lists:
        for mistake in found.mistakes:
            complain(f"{file}: {mistake}")
    if session.output.as_json:
        session.output.document(
            {"added": done.added, "replaced": done.replaced, "bad": bad, "other_kinds": others}
        )
    else:
        told = {"added": f"{done.added:,}", "replaced": f"{done.replaced:,}"}
        if bad:
            told["lines not read"] = f"{bad:,}"
        if others:
            told["of other kinds"] = f"{others:,}: only PDQ hashes are taken"
        session.output.facts(told)
    if bad:
        click.get_current_context().exit(1)


@bank.command("export")
@_collection
@click.option("-o", "--output", "path", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--format",
    "form",
    type=click.Choice([each.value for each in HashListForm]),
    default=HashListForm.CSV.value,
    show_default=True,
    help="csv with names; text: hashes alone; hasher: as pdq-photo-hasher prints it.",
)
@click.option("--items", "include_items", is_flag=True, help="The hashes of stored images too.")
@connected
def export(
    session: Session, collection: str, path: Path | None, form: str, include_items: bool
) -> None:
    """Write the PDQ hashes of a bank, to stdout unless -o names a file."""
    if session.output.as_json and path is None:
        raise click.UsageError("Give -o FILE with --json: the list itself goes to stdout.")
    with session.client() as client:
        hashes = client.banks.hashes(collection, include_items=include_items)
        with path.open("w", encoding="utf-8") if path else nullcontext(sys.stdout) as file:
            count = write_hash_list(hashes, file, HashListForm(form))
    if session.output.as_json:
        session.output.document({"written": count, "file": str(path)})
    elif path is not None:
        session.output.text(f"{count:,} hashes written to {path}")


@bank.command()
@click.argument("files", nargs=-1, type=_list_file)
@_collection
@click.option("--all", "everything", is_flag=True, help="All of the list.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@connected
def remove(
    session: Session, files: tuple[Path, ...], collection: str, everything: bool, yes: bool
) -> None:
    """Take the PDQ hashes in FILES, or --all, off the list of a bank; stored images stay."""
    if everything == bool(files):
        raise click.UsageError("Give FILES or --all, one of them.")
    hashes: list[str] | None = None
    if files:
        lists = [_read(file) for file in files]
        for file, found in zip(files, lists, strict=True):
            if found.mistakes:
                raise click.ClickException(f"{file}: {found.mistakes[0]}; nothing was removed")
        hashes = [each.pdq_hash for found in lists for each in found.hashes]
    elif not yes:
        confirm(f'Take all hashes off the list of "{collection}"?')
    with session.client() as client:
        removed = client.banks.delete_hashes(collection, hashes)
    if session.output.as_json:
        session.output.document({"removed": removed})
    else:
        session.output.text(f"{removed:,} hashes removed")


bank.add_command(match)


def _read(path: Path) -> HashList:
    if str(path) == "-":
        return _read_text(sys.stdin, "stdin")
    with path.open(encoding="utf-8", newline="") as file:
        return _read_text(file, str(path))


def _read_text(file: TextIO, name: str) -> HashList:
    try:
        return read_hash_list(file)
    except UnicodeDecodeError as error:
        raise click.ClickException(
            f"{name}: is no text in UTF-8, as lists of hashes are"
        ) from error


def _facts(found: Bank) -> dict[str, object]:
    facts: dict[str, object] = {
        "items": f"{found.items:,}",
        "with a PDQ hash": f"{found.hashed_items:,}",
        "listed hashes": f"{found.listed_hashes:,}",
        "threshold": "none: calibrate with --keep, or give one to `match`"
        if found.threshold is None
        else f"{found.threshold:.3f}, calibrated",
    }
    if low := found.low_quality_items + found.low_quality_hashes:
        facts["not matched"] = f"{low:,} PDQ hashes of a quality below 50"
    if found.items_without_pdq:
        facts["without a PDQ hash"] = (
            f"{found.items_without_pdq:,}: vectors without an image, or images indexed before "
            "hashes were made; index those again (`lookalike index --resend`)"
        )
    return facts
