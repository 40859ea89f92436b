"""`lookalike export` and `lookalike import`: collections as Parquet files."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import click

from lookalike_client import parquet
from lookalike_client.cli.collections import PRESETS
from lookalike_client.cli.output import complain
from lookalike_client.cli.session import Session, connected
from lookalike_client.types import IndexSettings, MutationStatus

_MOST_COMPLAINTS = 10

_collection = click.option(
    "-c", "--collection", default="images", show_default=True, help="Name or alias."
)


@click.command("export")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@_collection
@connected
def export_items(session: Session, file: Path, collection: str) -> None:
    """Write a collection to FILE, Parquet: ids, vectors, metadata, facts."""
    _need_pyarrow()
    with session.client() as client:
        items = parquet.export_collection(client, collection, file)
    if session.output.as_json:
        session.output.document({"collection": collection, "file": str(file), "items": items})
    else:
        session.output.text(f"wrote {items:,} items to {file}")


@click.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@_collection
@click.option("--preset", type=PRESETS, help="Index preset, in place of the exported settings.")
@connected
def import_items(session: Session, file: Path, collection: str, preset: str | None) -> int:
    """Store the items of FILE, made by `lookalike export`.

    The collection is created, bound to the same model and with the same settings, if
    it is not there. Exit code 1 if an item was not stored.
    """
    _need_pyarrow()
    outcomes: Counter[MutationStatus] = Counter()
    index = IndexSettings(preset=preset) if preset else None
    with session.client() as client:
        for result in parquet.import_collection(client, file, collection, index=index):
            outcomes[result.status] += 1
            if result.error is not None and outcomes[result.status] <= _MOST_COMPLAINTS:
                complain(f"{result.id}: {result.error.message}")
    stored = outcomes.pop(MutationStatus.APPLIED, 0)
    others = {status.value: count for status, count in sorted(outcomes.items())}
    if session.output.as_json:
        session.output.document({"collection": collection, "stored": stored, **others})
    else:
        session.output.text(f"stored {stored:,} items in {collection}")
        for name, count in others.items():
            session.output.text(f"{name}: {count:,}")
    return 1 if others else 0


def _need_pyarrow() -> None:
    if not parquet.available():
        raise click.ClickException("Parquet needs pyarrow: pip install 'lookalike[parquet]'")
