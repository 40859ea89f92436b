"""`lookalike index`."""

from __future__ import annotations

import time
import uuid
from pathlib import Path

import click

from lookalike_client.cli.index_report import print_report
from lookalike_client.cli.output import complain
from lookalike_client.cli.progress import IndexProgress
from lookalike_client.cli.session import Session, connected
from lookalike_client.cli.stall import StallWatch
from lookalike_client.indexing import metadata_csv
from lookalike_client.indexing.run import IndexJob, ensure_collection, run
from lookalike_client.indexing.scan import Scan, scan
from lookalike_client.types import Metadata


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

    Exit code 1 if a file failed.
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
    print_report(session.output, job, found, ledger, time.monotonic() - started_s)
    return 1 if ledger.failures or not found.files else 0


def _mention_unmatched(metadata: dict[str, Metadata], found: Scan) -> None:
    unmatched = len(metadata.keys() - {file.key for file in found.files})
    if unmatched:
        complain(f"note: {unmatched:,} rows of the metadata table match no file")
