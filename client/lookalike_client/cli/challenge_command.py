"""`lookalike challenge`."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import click

from lookalike.wire.errors import InvalidField
from lookalike_client import Client
from lookalike_client.challenge.labels import read_labelled
from lookalike_client.challenge.run import Challenge, Options, run_challenge
from lookalike_client.challenge.searches import Told
from lookalike_client.cli.analysis import PAGE, progress
from lookalike_client.cli.challenge_output import challenge_document, print_challenge
from lookalike_client.cli.evidence import evidence_of
from lookalike_client.cli.output import complain
from lookalike_client.cli.progress import IndexProgress
from lookalike_client.cli.session import Session, connected
from lookalike_client.indexing.ledger import Tally
from lookalike_client.reports.challenge import challenge_page
from lookalike_client.reports.pages import write_page
from lookalike_client.requests import Evidence
from lookalike_client.supervisor.launch import RunningSystem

DEFAULT_MODEL = "efficientnet-lite2"

_share = click.FloatRange(0, 1, min_open=True, max_open=True)


@click.command()
@click.option(
    "--images",
    "folder",
    required=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The folder of images.",
)
@click.option(
    "--labels",
    "table",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="CSV with the columns file, label and sublabel.",
)
@click.option("--label-column", help="The column of labels, where it has another name.")
@click.option("--sublabel-column", help="The column of sub-labels, where it has another name.")
@click.option("--server", help="host:port of a search service; without, a system is started.")
@click.option(
    "--model", help="A model of the embedder.  [default: the server's, or efficientnet-lite2]"
)
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where the system that is started keeps its data; by default removed at the end.",
)
@click.option("--html", type=PAGE, default=Path("challenge.html"), show_default=True)
@click.option("--max-queries", default=10_000, show_default=True, type=click.IntRange(1, 1_000_000))
@click.option(
    "--timed", default=300, show_default=True, type=click.IntRange(1, 100_000), help="Calls a kind."
)
@click.option(
    "--threshold-images",
    default=500,
    show_default=True,
    type=click.IntRange(1, 5_000),
    help="Images of which copies are made.",
)
@click.option(
    "--false-positive-rate",
    default=0.01,
    show_default=True,
    type=_share,
    help="Greatest share of images that match one that is no copy.",
)
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0))
@click.option("--keep", is_flag=True, help="Keep the collection; say its name.")
@connected
def challenge(
    session: Session,
    folder: Path,
    table: Path,
    label_column: str | None,
    sublabel_column: str | None,
    server: str | None,
    model: str | None,
    data: Path | None,
    html: Path,
    max_queries: int,
    timed: int,
    threshold_images: int,
    false_positive_rate: float,
    seed: int,
    keep: bool,
) -> None:
    """Measure how well a folder of labelled images is searched, from its files on.

    Indexes the images, searches for each among the others, without a filter and within
    its label, picks a near-duplicate threshold by copies that it makes, and times single
    searches. A system is started for it, unless a server is named.
    """
    if server is not None:
        settings = replace(session.settings, address=server, named=True)
        session = replace(session, settings=settings)
    if session.settings.named and data is not None:
        raise click.UsageError("--data goes with a system that is started, not with --server.")
    if not html.parent.is_dir():  # better told before than after the work
        raise click.UsageError(f"--html: there is no folder {html.parent}.")
    images = read_labelled(
        folder, table, label_column=label_column, sublabel_column=sublabel_column
    )
    for left in images.left_out:
        complain(f"note: {len(left.names):,} {left.why}, such as {left.names[0]!r}: left out")
    options = Options(
        model=model or "",
        max_queries=max_queries,
        timed=timed,
        threshold_images=threshold_images,
        false_positive_rate=false_positive_rate,
        seed=seed,
        keep=keep,
    )
    with _client(session, model, data) as client:
        result = run_challenge(client, images, options, _copies_of(folder, options), _Screen())
    write_page(html, challenge_page(result, folder=_named(folder), options=options))
    _print(session, result, options, html)


def _print(session: Session, result: Challenge, options: Options, html: Path) -> None:
    if session.output.as_json:
        session.output.document(challenge_document(result, options) | {"page": str(html)})
        return
    print_challenge(session.output, result, options)
    session.output.text(f"page: {html}")


def _named(folder: Path) -> str:
    """Return a folder's name with that of the one around it: many are called `images`."""
    whole = folder.resolve()
    return "/".join(each for each in (whole.parent.name, whole.name) if each)


@contextmanager
def _client(session: Session, model: str | None, data: Path | None) -> Iterator[Client]:
    """Connect to the server that was named, or to a system that is started for it."""
    with ExitStack() as stack:
        if not session.settings.named:
            place = data or Path(
                stack.enter_context(tempfile.TemporaryDirectory(prefix="lookalike-challenge-"))
            )
            complain("starting a system …")
            up = RunningSystem(place.resolve(), ["--model", model or DEFAULT_MODEL])
            system = stack.enter_context(up)
            settings = replace(session.settings, address=system.search, named=True)
            session = replace(session, settings=settings)
        yield stack.enter_context(session.client())


def _copies_of(folder: Path, options: Options) -> Callable[[Client, str, Told], Evidence]:
    def make(client: Client, collection: str, told: Told) -> Evidence:
        try:
            evidence, _ = evidence_of(
                client,
                collection,
                pairs=None,
                label_field=None,
                copies_of=folder,
                from_collection=None,
                max_images=options.threshold_images,
                seed=options.seed,
                told=told,
            )
        except click.ClickException as error:
            raise InvalidField("images", error.message) from error
        return evidence

    return make


class _Screen:
    """Bars on stderr."""

    @contextmanager
    def indexing(self, files: int) -> Iterator[Callable[[Tally], None]]:
        with IndexProgress(files, wait=True) as bar:
            yield bar.show

    @contextmanager
    def asking(self) -> Iterator[Told]:
        with progress() as told:
            yield told
