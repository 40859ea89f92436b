"""`lookalike sync`."""

from __future__ import annotations

from pathlib import Path

import click

from lookalike.wire.errors import NotFound
from lookalike_client import Client
from lookalike_client.cli.session import Session, connected
from lookalike_client.cli.sync_run import SyncRun
from lookalike_client.indexing.run import ensure_collection
from lookalike_client.syncing import guard
from lookalike_client.syncing.errors import SyncRefused
from lookalike_client.syncing.files import DEFAULT_STILL_S, Reader
from lookalike_client.syncing.run import Folder
from lookalike_client.syncing.state import State


class Share(click.ParamType[float]):
    """A share of the items: 0.5 or 50%."""

    name = "share"

    def convert(
        self, value: object, param: click.Parameter | None, context: click.Context | None
    ) -> float:
        """Return a share from 0 to 1."""
        text = str(value).strip()
        try:
            share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
        except ValueError:
            share = -1
        if not 0 <= share <= 1:
            self.fail(f"{text!r} is no share such as 50% or 0.5.", param, context)
        return share


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    *("-c", "--collection"),
    default="images",
    show_default=True,
    help="Created, bound to the embedder's default model, if it is not there.",
)
@click.option("--prefix", default="", help="Goes before each id.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@click.option("-y", "--yes", is_flag=True, help="Remove what is gone without asking.")
@click.option(
    "--allow-removal",
    "share",
    type=Share(),
    default=guard.DEFAULT_SHARE,
    show_default="20%",
    help="Refuse when more than this share of the folder's items would be removed.",
)
@click.option(
    "--adopt",
    is_flag=True,
    help="Take all items under --prefix as this folder's: after `index`, or when it was moved.",
)
@click.option("--watch", is_flag=True, help="Go on, and follow the folder as it changes.")
@click.option(
    "--still",
    "still_s",
    type=click.FloatRange(min=0),
    default=DEFAULT_STILL_S,
    show_default=True,
    help="Seconds that a file must not have changed before it is sent.",
)
@click.option(
    "--state",
    "state_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File that tells what came from which folder.  [env LOOKALIKE_SYNC_STATE]",
)
@connected
def sync(
    session: Session,
    folder: Path,
    collection: str,
    prefix: str,
    dry_run: bool,
    yes: bool,
    share: float,
    adopt: bool,
    watch: bool,
    still_s: float,
    state_file: Path | None,
) -> int:
    """Make a collection hold what a folder holds.

    Ids are as those of `lookalike index`. New and changed files are indexed. A file that
    was renamed or moved keeps its vector and metadata under its new id. Items whose files
    are gone are removed, after asking; nothing is, when the folder is empty or not
    mounted, or when too much would go. A file that is still being written is waited for.

    Only items that came from this folder are touched. Which those are is kept in a file
    on this machine, for all folders that are synced from here.

    Exit code 1 if something failed, or was refused.
    """
    if watch and dry_run:
        raise click.UsageError("Give --watch or --dry-run, not both.")
    root = folder.resolve()
    try:  # before a collection is made for a name that is mistyped
        guard.check_folder(root, was_mount=False)
    except SyncRefused as error:
        raise click.ClickException(str(error)) from error
    with session.client() as client:
        where = state_file or session.settings.sync_state
        state = State(where if where.exists() or not dry_run else Path(":memory:"))
        try:
            known = _collection(client, collection, dry_run=dry_run)
            of_folder = state.folder(known[0], root, prefix)
            job = Folder(client, collection, known[1], of_folder, root, prefix, adopt)
            run = SyncRun(session.output, job, Reader(still_s), share, yes)
            if dry_run:
                return run.rehearse()
            with of_folder.locked():
                code = run.once(may_be_empty=watch)
                return run.follow() if watch else code
        except SyncRefused as error:
            raise click.ClickException(str(error)) from error
        finally:
            state.close()


def _collection(client: Client, name: str, *, dry_run: bool) -> tuple[str, str]:
    """Return the uid and the model of a collection; a dry run makes none."""
    try:
        found = client.collections.get(name) if dry_run else ensure_collection(client, name)
    except NotFound:
        return "", ""
    return found.uid, found.model_fingerprint
