"""`lookalike suggest-labels`."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import click

from lookalike_client import Client
from lookalike_client.cli.analysis import progress
from lookalike_client.cli.session import Session, connected
from lookalike_client.types import LabelSuggestion, LabelSuggestions, Metadata

_SHOWN = 20
_COLUMNS = ("id", "label", "confidence", "share", "second", "present")
# Items a request of metadata holds.
_PER_CALL = 1_000


@click.command("suggest-labels")
@click.option("-c", "--collection", default="images", show_default=True, help="Name or alias.")
@click.option("--label-field", required=True, help="Metadata field that holds the labels.")
@click.option("--filter", "condition", help="Only items that meet it count.")
@click.option("--neighbours", default=10, show_default=True, type=click.IntRange(1, 100))
@click.option("--errors", is_flag=True, help="Name labels that the neighbours contradict.")
@click.option("-n", "--limit", default=10_000, show_default=True, type=click.IntRange(1, 1_000_000))
@click.option(
    "--csv",
    "table",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Write all suggestions to this file.",
)
@click.option(
    "--write-above",
    type=click.FloatRange(0, 1),
    help="Store the label of suggestions of at least this confidence.",
)
@click.option("--yes", is_flag=True, help="Do not ask before labels are stored.")
@connected
def suggest_labels(
    session: Session,
    collection: str,
    label_field: str,
    condition: str | None,
    neighbours: int,
    errors: bool,
    limit: int,
    table: Path | None,
    write_above: float | None,
    yes: bool,
) -> None:
    """Suggest labels for items that have none, by their nearest labelled neighbours.

    The least certain come first: those are worth a look. With --errors, labels that are
    there and that their neighbours contradict are named, the most certain first.
    """
    if errors and write_above is not None:
        raise click.UsageError("--write-above goes with suggestions, not with --errors.")
    if "." in label_field and write_above is not None:
        raise click.UsageError("--write-above takes a field at the top of the metadata.")
    with session.client() as client:
        with progress() as told:
            found = client.analysis.suggest_labels(
                collection,
                label_field,
                filter=condition,
                neighbours=neighbours,
                errors=errors,
                limit=limit,
                on_progress=told,
            )
        if table is not None:
            _write_table(table, found.suggestions)
        sure = [each for each in found.suggestions if each.confidence >= (write_above or 0)]
        written = 0
        if write_above is not None and sure:
            if not yes:
                click.confirm(f"Store {len(sure):,} labels in {label_field}?", abort=True, err=True)
            written = _store(client, collection, label_field, sure)
    if session.output.as_json:
        session.output.document({"result": found, "written": written})
    else:
        _print(session, found, errors=errors, written=written, wrote=write_above is not None)


def _print(
    session: Session, found: LabelSuggestions, *, errors: bool, written: int, wrote: bool
) -> None:
    what = "labels that neighbours contradict" if errors else "suggestions"
    columns = ["id", "label", "confidence>", "second", *(["present"] if errors else [])]
    rows = [
        (
            each.id,
            each.label,
            f"{each.confidence:.3f}",
            each.second,
            *([each.present] if errors else []),
        )
        for each in found.suggestions[:_SHOWN]
    ]
    if rows:
        session.output.table(f"{len(found.suggestions):,} {what}", columns, rows)
    else:
        session.output.text(f"no {what}")
    left = len(found.suggestions) - len(rows)
    if left:
        session.output.text(f"{left:,} more: see --csv or --json")
    session.output.facts(
        {
            "rests on": f"{found.labelled:,} of {found.items:,} items, {found.labels:,} labels",
            "neighbours agree with": f"{found.accuracy:.1%} of the labels that are known",
            **({"stored": f"{written:,} labels"} if wrote else {}),
        }
    )


def _write_table(path: Path, suggestions: Sequence[LabelSuggestion]) -> None:
    try:
        with path.open("w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file)
            rows.writerow(_COLUMNS)
            rows.writerows([getattr(each, name) for name in _COLUMNS] for each in suggestions)
    except OSError as error:
        raise click.ClickException(f"{path} cannot be written: {error.strerror}") from error


def _store(
    client: Client, collection: str, field: str, suggestions: Sequence[LabelSuggestion]
) -> int:
    """Store the labels beside what else is known of the items; return how many were."""
    stored = 0
    for start in range(0, len(suggestions), _PER_CALL):
        some = suggestions[start : start + _PER_CALL]
        updates: dict[str, Metadata] = {each.id: {field: each.label} for each in some}
        results = client.update_metadata(collection, updates, merge=True)
        stored += sum(result.error is None for result in results)
    return stored
