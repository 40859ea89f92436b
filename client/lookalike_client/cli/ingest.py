"""`lookalike index`."""

from __future__ import annotations

import time
import uuid
from pathlib import Path

import click

from lookalike_client.cli.index_endings import IndexEndings
from lookalike_client.cli.output import Output, complain
from lookalike_client.cli.progress import IndexProgress
from lookalike_client.cli.session import Session, connected
from lookalike_client.cli.stall import StallWatch
from lookalike_client.indexing import metadata_csv
from lookalike_client.indexing.ledger import Ledger
from lookalike_client.indexing.run import IndexJob, ensure_collection, run
from lookalike_client.indexing.scan import Scan, scan
from lookalike_client.types import Metadata

# Lines of a kind that people are shown; programs get all.
_MOST_ROWS = 50


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option(
    *("-c", "--collection"),
    default="images",
    show_default=True,
    help="Created, bound to the embedder's default model, if it is not there.",
)
@click.option(
    "--metadata-csv",
    "table",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Metadata from a table with a `file` column.",
)
@click.option("--prefix", default="", help="Goes before each id.")
@click.option("--wait", is_flag=True, help="Until all can be found, and say what failed.")
@click.option("--job", "job_id", help="Groups the outcomes; a new one by default.")
@click.option("--resend", is_flag=True, help="Send also what is stored unchanged.")
@connected
def index(
    session: Session,
    paths: tuple[Path, ...],
    collection: str,
    table: Path | None,
    prefix: str,
    wait: bool,
    job_id: str | None,
    resend: bool,
) -> int:
    """Index image files, and the images in folders.

    The id of a file in a folder is its path relative to that folder; of a file that
    is named itself, its path relative to the present directory, or its name where it
    lies elsewhere. What is stored with the same bytes and metadata is not sent again,
    so that an interrupted run goes on where it was.

    Exit code 1 if a file failed or was lost.
    """
    found = scan(paths, prefix=prefix, base=Path.cwd())
    metadata = metadata_csv.read(table) if table is not None else {}
    _mention_unmatched(metadata, found)
    job = IndexJob(
        collection=collection,
        files=found.files,
        metadata=metadata,
        job_id=job_id or f"index-{uuid.uuid4().hex[:12]}",
        resend=resend,
        wait=wait,
    )
    started_s = time.monotonic()
    with session.client() as client:
        ensure_collection(client, collection)
        stall = StallWatch(client.ingest_status)
        with IndexProgress(len(found.files), wait=wait) as progress:
            try:
                ledger = run(client, job, lambda tally: progress.show(tally, stall.reason(tally)))
            except KeyboardInterrupt:
                complain("stopped; run the same command again to go on where it was")
                raise
    _print_report(session.output, job, found, ledger, time.monotonic() - started_s)
    return 1 if ledger.failures or ledger.lost or not found.files else 0


def _mention_unmatched(metadata: dict[str, Metadata], found: Scan) -> None:
    unmatched = len(metadata.keys() - {file.key for file in found.files})
    if unmatched:
        complain(f"note: {unmatched:,} rows of the metadata table match no file")


def _print_report(
    output: Output, job: IndexJob, found: Scan, ledger: Ledger, elapsed_s: float
) -> None:
    """Print counts, skipped files, near-duplicates and failures."""
    if output.as_json:
        output.document(_document(job, found, ledger, elapsed_s))
    else:
        _print_tables(output, job, found, ledger, elapsed_s)


def _document(job: IndexJob, found: Scan, ledger: Ledger, elapsed_s: float) -> dict[str, object]:
    tally = ledger.tally()
    return {
        "collection": job.collection,
        "job_id": job.job_id,
        "files": len(found.files),
        "unchanged": tally.unchanged,
        "queued": tally.queued,
        "stored": ledger.stored if job.wait else None,
        "failed": [
            {
                "id": failure.id,
                "reason": failure.error.reason.name,
                "message": failure.error.message,
            }
            for failure in ledger.sorted_failures()
        ],
        "skipped": found.skipped,
        "near_duplicates": ledger.duplicates,
        **IndexEndings(job.collection, ledger).document(),
        "elapsed_s": round(elapsed_s, 3),
    }


def _print_tables(
    output: Output, job: IndexJob, found: Scan, ledger: Ledger, elapsed_s: float
) -> None:
    tally = ledger.tally()
    endings = IndexEndings(job.collection, ledger)
    if not found.files:
        output.text("no image was found")
    parts = [f"{tally.unchanged:,} unchanged", f"{tally.queued:,} queued"]
    if job.wait:
        parts += [f"{ledger.stored:,} stored and searchable", *endings.counts()]
    parts.append(f"{tally.failed:,} failed")
    output.paragraph(f"{len(found.files):,} files: {', '.join(parts)} ({elapsed_s:.1f} s)")
    if found.skipped:
        output.table(
            f"Skipped {len(found.skipped):,}",
            ["file", "reason"],
            [(each.file, each.reason) for each in found.skipped[:_MOST_ROWS]],
        )
    stored = [each for each in ledger.duplicates if each.stored]
    if stored:
        output.table(
            f"Near-duplicates {len(stored):,}",
            ["id", "looks like", "score>"],
            [(each.id, each.of, f"{each.score:.4f}") for each in stored[:_MOST_ROWS]],
        )
    failures = ledger.sorted_failures()
    if failures:
        output.table(
            f"Failed {len(failures):,}",
            ["id", "reason", "message"],
            [
                (each.id, each.error.reason.name, each.error.message)
                for each in failures[:_MOST_ROWS]
            ],
        )
    endings.print(output)
    if not job.wait and tally.queued:
        output.text("the rest goes on without us: see `lookalike status` and `failures`")
