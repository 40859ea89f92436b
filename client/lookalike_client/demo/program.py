"""Runs the demonstration from start to end."""

from __future__ import annotations

import hashlib
import shlex
import sys
import threading
import time
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from lookalike.wire.errors import LookalikeError
from lookalike_client import Client
from lookalike_client.cli.progress import IndexProgress
from lookalike_client.demo.contact_sheet import SheetHit, SheetRow, draw
from lookalike_client.demo.photos import make_gallery, make_query, metadata_of
from lookalike_client.indexing.run import IndexJob, ensure_collection, run
from lookalike_client.indexing.scan import Scan, scan
from lookalike_client.inputs import Query
from lookalike_client.requests import SearchOptions
from lookalike_client.supervisor.launch import RunningSystem
from lookalike_client.types import Fields, Hit
from lookalike_client.types.collections import THUMBNAIL_SIDE_PX

_HITS = 6


@dataclass(frozen=True, slots=True)
class DemoSearch:
    """One of the three searches."""

    title: str
    query: Query
    picture: Path
    name: str
    options: SearchOptions


@click.command()
@click.option(
    "--images",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A folder of your own; by default scikit-image's photographs and copies of them.",
)
@click.option("--out", default="build/demo", show_default=True, type=click.Path(path_type=Path))
@click.option("--model", default="efficientnet-lite2", show_default=True)
@click.option(
    "--stay/--no-stay",
    default=None,
    help="Keep the page up at the end, until Ctrl-C.  [default: in a terminal]",
)
def demo(images: Path | None, out: Path, model: str, stay: bool | None) -> None:
    """Start a system, index photographs, search them, and draw what was found."""
    stay = sys.stdin.isatty() if stay is None else stay
    console = Console()
    folder = images if images is not None else make_gallery(out / "gallery")
    found = scan([folder], base=Path.cwd())
    if not found.files:
        raise click.UsageError("There is no image in that folder.")
    started_s = time.monotonic()
    console.print("Starting Redis, the embedder, the search service and the worker …")
    options = ["--model", model, *(["--web"] if stay else [])]
    with RunningSystem(out.resolve() / "data", options) as system:
        console.print(f"… up after {time.monotonic() - started_s:.1f} s at {system.search}")
        with Client(system.search) as client:
            collection = _collection_name(folder, model)
            _index(console, client, collection, found, own=images is not None)
            if images is not None:
                searches = _own_searches(found)
            else:
                query = make_query(folder, out / "queries" / "off-a-screen.jpg")
                searches = _gallery_searches(folder, query)
            rows = [_search(console, client, collection, folder, each) for each in searches]
        sheet = out / "contact-sheet.png"
        subtitle = f"{len(found.files):,} pictures, {model}; scores are exact cosines"
        draw(rows, "Lookalike: what looks like this?", subtitle, sheet)
        console.print(f"Contact sheet: {sheet}")
        if stay:
            _wait(console, system.addresses["web"])
    _print_next_steps(console, folder)


def main() -> int:
    """Run the command line; errors are one line on stderr."""
    try:
        demo.main(prog_name="demo", standalone_mode=False)
    except click.ClickException as error:
        return _failed(error.format_message(), 2)
    except LookalikeError as error:
        return _failed(error.message, 1)
    except (click.Abort, KeyboardInterrupt):
        return _failed("interrupted", 130)
    return 0


def _index(console: Console, client: Client, collection: str, found: Scan, *, own: bool) -> None:
    """Index the pictures, and forget those of an earlier run that are gone."""
    ensure_collection(client, collection, THUMBNAIL_SIDE_PX)
    wanted = {file.id for file in found.files}
    stored = client.list(collection, fields=Fields(metadata=False), page_size=1000)
    gone = [item.id for item in stored if item.id not in wanted]
    client.delete(collection, gone)
    metadata = {} if own else {file.key: metadata_of(file.key) for file in found.files}
    job = IndexJob(collection, found.files, metadata, job_id=f"demo-{uuid.uuid4().hex[:12]}")
    started_s = time.monotonic()
    with IndexProgress(len(found.files), wait=True) as progress:
        ledger = run(client, job, progress.show)
    tally = ledger.tally()
    console.print(
        f"{len(found.files):,} pictures: {ledger.stored:,} indexed, {tally.unchanged:,} there "
        f"already, {tally.failed:,} failed ({time.monotonic() - started_s:.1f} s)"
    )
    for failure in ledger.sorted_failures():
        console.print(f"  {failure.id}: {failure.error.message}", style="red", markup=False)


def _wait(console: Console, page: str) -> None:
    """Leave the page up until Ctrl-C."""
    console.print()
    console.print("Look, search and review in a browser; Ctrl-C ends the demonstration:")
    console.print(f"  {page}", markup=False, highlight=False, soft_wrap=True)
    with suppress(KeyboardInterrupt):
        threading.Event().wait()


def _gallery_searches(folder: Path, query: Path) -> list[DemoSearch]:
    cat, motorcycle = "chelsea/original.png", "motorcycle_left/mirrored.jpg"
    return [
        DemoSearch(
            "By a picture that is not stored: what is this a photo of?",
            Query.by_image(query),
            query,
            query.name,
            SearchOptions(limit=_HITS),
        ),
        DemoSearch(
            "By stored id: what looks like it?",
            Query.by_id(cat),
            folder / cat,
            cat,
            SearchOptions(limit=_HITS),
        ),
        DemoSearch(
            'By stored id, with the filter kind = "original"',
            Query.by_id(motorcycle),
            folder / motorcycle,
            motorcycle,
            SearchOptions(limit=_HITS, filter='kind = "original"'),
        ),
    ]


def _own_searches(found: Scan) -> list[DemoSearch]:
    """Look for three of the pictures: the first, the middle one and the last."""
    last = len(found.files) - 1
    picked = [found.files[number] for number in sorted({0, last // 2, last})]
    return [
        DemoSearch(
            "By stored id: what looks like it?",
            Query.by_id(file.id),
            file.path,
            file.id,
            SearchOptions(limit=_HITS),
        )
        for file in picked
    ]


def _search(
    console: Console, client: Client, collection: str, folder: Path, search: DemoSearch
) -> SheetRow:
    started_s = time.monotonic()
    result = client.search(collection, search.query, **search.options)
    took_ms = (time.monotonic() - started_s) * 1e3
    _print_hits(console, f"{search.title}  {search.name}  ({took_ms:.0f} ms)", result.hits)
    hits = [SheetHit(folder / hit.id, hit.id, hit.score) for hit in result.hits]
    return SheetRow(search.title, search.picture, search.name, hits)


def _print_hits(console: Console, title: str, hits: Sequence[Hit]) -> None:
    console.print()
    console.print(Text(title, style="bold"))
    table = Table()
    table.add_column("#", justify="right")
    table.add_column("score", justify="right")
    table.add_column("id")
    for rank, hit in enumerate(hits, 1):
        table.add_row(str(rank), f"{hit.score:.4f}", Text(hit.id))
    console.print(table)


def _print_next_steps(console: Console, folder: Path) -> None:
    commands = Path(sys.executable).parent
    console.print()
    console.print("Next, a system that stays; in a second terminal, index and search:")
    for step in (
        "lookalike up --data ./lookalike-data  # prints a link to the page",
        f"lookalike index {shlex.quote(str(folder))} --wait",
        "lookalike search IMAGE",
    ):
        # Whole lines, so that they can be copied.
        console.print(f"  {_shown(commands)}/{step}", markup=False, highlight=False, soft_wrap=True)
    console.print("README.md goes on from here.")


def _shown(path: Path) -> Path:
    """Return a path as a person would type it."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _collection_name(folder: Path, model: str) -> str:
    """Return a name for this folder and model: vectors of two models do not mix."""
    key = f"{folder.resolve()}\n{model}".encode()
    return f"demo-{hashlib.sha256(key).hexdigest()[:12]}"


def _failed(message: str, code: int) -> int:
    sys.stderr.write(f"error: {message}\n")
    return code
