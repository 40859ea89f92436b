"""`lookalike export` and `lookalike import`: collections as files."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import click

from lookalike_client import parquet, tables
from lookalike_client.cli.collections import PRESETS
from lookalike_client.cli.output import Output, complain, plain
from lookalike_client.cli.session import Session, connected
from lookalike_client.tables import arrow_files
from lookalike_client.types import IndexSettings, MutationResult, MutationStatus

_MOST_COMPLAINTS = 10
_MOST_NAMES = 12

_collection = click.option(
    "-c", "--collection", default="images", show_default=True, help="Name or alias."
)
_existing = click.Path(exists=True, path_type=Path)


@click.command("export")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@_collection
@connected
def export_items(session: Session, file: Path, collection: str) -> None:
    """Write a collection to FILE, Parquet: ids, vectors, metadata, facts."""
    if not arrow_files.available():
        raise click.ClickException("Parquet needs pyarrow: pip install 'lookalike[parquet]'")
    with session.client() as client:
        items = parquet.export_collection(client, collection, file)
    if session.output.as_json:
        session.output.document({"collection": collection, "file": str(file), "items": items})
    else:
        session.output.text(f"wrote {items:,} items to {file}")


@click.command("import")
@click.argument("file", type=_existing)
@_collection
@click.option("--id-column", help="Column that names the items; guessed if absent.")
@click.option("--row-ids", is_flag=True, help="Number the rows instead: 1, 2, 3, …")
@click.option("--vector-column", help="Column of vectors; dim_* for a column a number.")
@click.option(
    "--metadata-columns",
    multiple=True,
    metavar="NAME[,NAME]…",
    help="What else to store; '' for nothing, all that can be if absent.",
)
@click.option("--ids", type=_existing, help="File of the ids of a .npy matrix, in its order.")
@click.option("--model", default="", help="Model that made the vectors: fingerprint, or name.")
@click.option("--preset", type=PRESETS, help="Index preset, in place of the exported settings.")
@click.option("--dry-run", is_flag=True, help="Show what would be read and stored; write nothing.")
@click.option(
    "--failures",
    "failures_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write each row that was not stored to this file, a JSON object a line.",
)
@connected
def import_items(
    session: Session,
    file: Path,
    collection: str,
    id_column: str | None,
    row_ids: bool,
    vector_column: str | None,
    metadata_columns: tuple[str, ...],
    ids: Path | None,
    model: str,
    preset: str | None,
    dry_run: bool,
    failures_file: Path | None,
) -> int:
    """Store the vectors of FILE, or of all tables in a folder.

    FILE is Parquet, Arrow or Feather, NumPy (.npy with ids, .npz), CSV, JSON lines or
    JSON; one that `lookalike export` wrote brings its model and settings along. What
    each column was taken for is shown first. The collection is created if it is not
    there. Run it again after an interruption: what is stored already is left alone.
    Exit code 1 if a row was not stored.
    """
    if row_ids and id_column is not None:
        raise click.UsageError("Give --id-column or --row-ids, one of them.")
    names = [name for each in metadata_columns for name in each.split(",") if name]
    choice = tables.Choice(
        id_column, vector_column, names if metadata_columns else None, row_ids, ids
    )
    plan = tables.plan_import(file, choice)
    index = IndexSettings(preset=preset) if preset else None
    with session.client() as client:
        run = tables.TableImport(client, plan, collection, model=model, index=index)
        shown = _plan_shown(plan, collection, creates=run.creates)
        if dry_run:
            _show_plan(session.output, plan, shown)
            return 1 if plan.refused else 0
        for name, text in shown.items():
            complain(f"{name}: {text}")
        with _failures(failures_file) as listed:
            try:
                outcomes, failed = _store(run, listed)
            except KeyboardInterrupt:
                complain("stopped; run the same command again to go on where it was")
                raise
    _report(session.output, collection, run, outcomes, failed)
    return 1 if any(status is not MutationStatus.APPLIED for status in outcomes) else 0


def _plan_shown(plan: tables.Plan, collection: str, *, creates: bool) -> dict[str, str]:
    def guess(what: str) -> str:
        return " (guessed)" if what in plan.guessed else ""

    rows = "" if plan.expected is None else f", {plan.expected:,} rows"
    first = plan.sources[0].path.name
    more = f" and {len(plan.sources) - 1:,} more" if len(plan.sources) > 1 else ""
    shown = {
        "reading": f"{first}{more}{rows}",
        "ids": f"column {plan.id_column}{guess('id')}" if plan.id_column else "numbers of rows",
        "vectors": f"column {plan.vector_column}{guess('vector')}, {plan.dimension:,} dimensions",
        "metadata": (_names(plan.metadata_columns) or "none: what is stored stays")
        + guess("metadata"),
    }
    if plan.ids_file is not None:
        shown["ids"] = f"{plan.ids_file.name}, {shown['ids']}"
    if plan.left_out:
        shown["left out"] = _names(plan.left_out)
    shown["into"] = f"{collection}, {'a new collection' if creates else 'which is there'}"
    return shown


def _show_plan(output: Output, plan: tables.Plan, shown: dict[str, str]) -> None:
    for error in plan.refused:
        complain(error.message)
    if output.as_json:
        output.document(
            {
                "files": [str(each.path) for each in plan.sources],
                "rows": plan.expected,
                "id_column": plan.id_column or None,
                "vector_column": plan.vector_column.name,
                "dimension": plan.dimension,
                "metadata_columns": plan.metadata_columns,
                "left_out": plan.left_out,
                "guessed": sorted(plan.guessed),
            }
        )
        return
    for name, text in shown.items():
        output.text(f"{name}: {text}")
    output.text("nothing was written (--dry-run)")


def _store(
    run: tables.TableImport, listed: TextIO | None
) -> tuple[Counter[MutationStatus], list[dict[str, object]]]:
    """Run an import; return how many rows ended how, and the first that failed."""
    outcomes: Counter[MutationStatus] = Counter()
    failed: list[dict[str, object]] = []
    for result in run.results():
        outcomes[result.status] += 1
        if result.status is MutationStatus.APPLIED:
            continue
        told = _failure(result)
        if listed is not None:
            listed.write(json.dumps(told, ensure_ascii=False) + "\n")
        if len(failed) < _MOST_COMPLAINTS:
            failed.append(told)
            name = f"{result.id}: " if result.id else ""
            complain(f"{name}{told['message']}")
    return outcomes, failed


def _failure(result: MutationResult) -> dict[str, object]:
    error = result.error
    return {
        "id": result.id or None,
        "status": result.status.value,
        "reason": error.reason.name if error else None,
        "message": error.message if error else result.status.value.replace("_", " "),
        "looks_like": plain(result.near_duplicate),
    }


def _report(
    output: Output,
    collection: str,
    run: tables.TableImport,
    outcomes: Counter[MutationStatus],
    failed: list[dict[str, object]],
) -> None:
    stored = outcomes[MutationStatus.APPLIED]
    others = {
        status.value: count
        for status, count in sorted(outcomes.items())
        if count and status is not MutationStatus.APPLIED
    }
    if output.as_json:
        output.document(
            {
                "collection": collection,
                "stored": stored,
                "unchanged": run.unchanged,
                "repeated_ids": run.repeated,
                **others,
                "first_failures": failed,
            }
        )
        return
    unchanged = f" ({run.unchanged:,} more were stored already)" if run.unchanged else ""
    output.text(f"stored {stored:,} items in {collection}{unchanged}")
    if run.repeated:
        output.text(f"{run.repeated:,} rows repeat an id: the last one of each holds")
    for name, count in others.items():
        output.text(f"{name.replace('_', ' ')}: {count:,}")
    if sum(others.values()) > len(failed):
        output.text("--failures FILE lists them all")


@contextmanager
def _failures(path: Path | None) -> Iterator[TextIO | None]:
    if path is None:
        yield None
        return
    with path.open("w", encoding="utf-8") as file:
        yield file


def _names(found: Sequence[str]) -> str:
    more = f" and {len(found) - _MOST_NAMES:,} more" if len(found) > _MOST_NAMES else ""
    return ", ".join(found[:_MOST_NAMES]) + more
