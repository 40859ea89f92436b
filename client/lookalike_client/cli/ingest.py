"""`lookalike index`."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import click

from lookalike.wire.errors import InvalidField, Unavailable
from lookalike_client.cli.index_report import IndexReport
from lookalike_client.cli.output import complain
from lookalike_client.cli.progress import IndexProgress
from lookalike_client.cli.session import Session, connected
from lookalike_client.cli.stall import StallWatch
from lookalike_client.indexing import matching, metadata_csv
from lookalike_client.indexing.gathering import gather
from lookalike_client.indexing.matching import Matches
from lookalike_client.indexing.run import IndexJob, ensure_collection, run
from lookalike_client.indexing.scan import Scan, scan
from lookalike_client.syncing.claiming import Claiming
from lookalike_client.syncing.state import State
from lookalike_client.types.collections import THUMBNAIL_SIDE_PX


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
    help="Metadata from a table with a `file` column; it replaces what these files have.",
)
@click.option(
    "--replace-metadata",
    is_flag=True,
    help="Empty the metadata of files that are given none; without, it is left as it is.",
)
@click.option(
    "--allow-unmatched",
    is_flag=True,
    help="Go on where most rows of the table match no file.",
)
@click.option(
    "--item-column",
    metavar="NAME",
    help="Column of the table that says whose picture a file is: its value is the id, and files"
    " with the same one are pictures of one item.",
)
@click.option("--prefix", default="", help="Goes before each id.")
@click.option("--wait", is_flag=True, help="Until all can be found, and say what failed.")
@click.option("--job", "job_id", help="Groups the outcomes; a new one by default.")
@click.option(
    "--thumbnails", is_flag=True, help="A collection that is created keeps small pictures."
)
@click.option("--resend", is_flag=True, help="Send also what is stored unchanged.")
@connected
def index(
    session: Session,
    paths: tuple[Path, ...],
    collection: str,
    table: Path | None,
    replace_metadata: bool,
    allow_unmatched: bool,
    item_column: str | None,
    prefix: str,
    wait: bool,
    job_id: str | None,
    thumbnails: bool,
    resend: bool,
) -> int:
    """Index image files, and the images in folders.

    The id of a file in a folder is its path relative to that folder; of a file that
    is named itself, its path relative to the present directory, or its name where it
    lies elsewhere. What is stored with the same bytes and metadata is not sent again,
    so that an interrupted run goes on where it was. Images are told by their first
    bytes, not by their names. A file that is given no metadata keeps what is stored.

    With --item-column, files of one item are sent together, each time: an item is found by
    that of its pictures which is nearest to a query.

    Exit code 1 if a file failed or was lost, or if nothing was indexed.
    """
    found = scan(paths, prefix=prefix, base=Path.cwd())
    matches = None
    if table is not None:
        rows = metadata_csv.read(table, text_column=item_column)
        matches = _match(table, rows, paths, found, allow_unmatched=allow_unmatched)
    said = matches.said if matches is not None else {}
    if item_column is not None:
        if matches is None:
            raise click.UsageError("--item-column is one of a table: give --metadata-csv too.")
        found.files, said = gather(found.files, said, item_column, prefix)
    job = IndexJob(
        collection=collection,
        files=found.files,
        metadata=said,
        refused=found.refused,
        replace_metadata=replace_metadata,
        job_id=job_id or f"index-{uuid.uuid4().hex[:12]}",
        resend=resend,
        wait=wait,
    )
    started_s = time.monotonic()
    folders = [path for path in paths if path.is_dir()]
    claiming: Claiming | None = None
    with session.client() as client, _state(session) as state:
        side_px = THUMBNAIL_SIDE_PX if thumbnails else 0
        uid = ensure_collection(client, collection, side_px).uid
        if state is not None and item_column is None:  # it follows files, each an item
            claiming = Claiming(state, uid, prefix, folders, found.files)
            job = replace(job, claim=claiming.claim)
        stall = StallWatch(client.ingest_status)
        with IndexProgress(len(found.files) + len(found.refused), wait=wait) as progress:
            try:
                ledger = run(client, job, lambda tally: progress.show(tally, stall.reason(tally)))
            except (KeyboardInterrupt, Unavailable):
                complain("stopped; run the same command again to go on where it was")
                raise
    if claiming is not None and claiming.error:
        complain(f"note: `lookalike sync` will not know of all of this: {claiming.error}")
    report = IndexReport(job, found, matches, ledger, time.monotonic() - started_s)
    report.print(session.output)
    if report.nothing_indexed:
        complain(f"error: {report.why_nothing}")
    return 1 if ledger.failures or ledger.lost or report.nothing_indexed else 0


@contextmanager
def _state(session: Session) -> Iterator[State | None]:
    """Open what `lookalike sync` knows of folders; without it images are indexed all the same."""
    try:
        state = State(session.settings.sync_state)
    except (InvalidField, OSError) as error:
        complain(f"note: `lookalike sync` will not know of this: {error}")
        yield None
        return
    with closing(state):
        yield state


def _match(
    table: Path,
    rows: list[metadata_csv.Row],
    paths: tuple[Path, ...],
    found: Scan,
    *,
    allow_unmatched: bool,
) -> Matches:
    """Find the files of a table's rows; say which have none.

    Raises:
        InvalidField: most have none, which `allow_unmatched` allows.
    """
    folders = (Path.cwd(), table.parent, *(path for path in paths if path.is_dir()))
    matches = matching.match(rows, found.files, others=found.others, folders=folders)
    if matches.mostly_strangers and not allow_unmatched:
        raise InvalidField(
            metadata_csv.FIELD,
            f"{matches.describe()}. Nothing was sent: correct the paths, or pass "
            "--allow-unmatched if the table is about other files as well",
        )
    if matches.unmatched_rows:
        complain(f"note: {matches.describe()}")
    return matches
