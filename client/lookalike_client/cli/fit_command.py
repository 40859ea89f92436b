"""`lookalike fit-projection`."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import click

from lookalike.wire.channel import sync_channel
from lookalike.wire.errors import Unavailable
from lookalike.wire.projection import (
    LEAST_DIMENSION,
    MOST_DIMENSION,
    Projection,
    ProjectionFit,
    ProjectionUnfitted,
)
from lookalike_client import calls
from lookalike_client.cli.output import complain
from lookalike_client.cli.session import Session, check_address, connected
from lookalike_client.fitting.sources import fit_collection, fit_export, fit_images
from lookalike_client.indexing.scan import scan
from lookalike_client.settings import token_of
from lookalike_client.tables import arrow_files


@click.command("fit-projection")
@click.argument("source", required=False, type=click.Path(exists=True, path_type=Path))
@click.option("-c", "--collection", help="Fit on the vectors of this collection.")
@click.option("--embedder", help="host:port of the embedder, for SOURCE a folder.")
@click.option("--model", default="", help="Name or fingerprint there, for SOURCE a folder.")
@click.option(
    "--dim",
    "dimension",
    default=256,
    show_default=True,
    type=click.IntRange(LEAST_DIMENSION, MOST_DIMENSION),
    help="Dimensions to keep.",
)
@click.option("--whiten", is_flag=True, help="Give every direction the same weight.")
@click.option(
    "--out",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="File to write, for the embedder's option @projection:FILE.",
)
@connected
def fit_projection(
    session: Session,
    source: Path | None,
    collection: str | None,
    embedder: str | None,
    model: str,
    dimension: int,
    whiten: bool,
    out: Path,
) -> None:
    """Fit a projection that makes a model's vectors shorter.

    SOURCE is a folder of pictures, which an embedder embeds, or a Parquet file that
    `lookalike export` wrote; without it, name a collection. The projection belongs to
    the model that made the vectors, and to no other.
    """
    fit = _fit(session, source, collection, embedder, model)
    try:
        projection = fit.projection(dimension, whiten=whiten)
    except ProjectionUnfitted as error:
        raise click.ClickException(str(error)) from error
    projection.save(out)
    _report(session, projection, out)


def _fit(
    session: Session,
    source: Path | None,
    collection: str | None,
    embedder: str | None,
    model: str,
) -> ProjectionFit:
    if (source is None) == (collection is None):
        raise click.UsageError("Give a SOURCE or -c COLLECTION, one of them.")
    if collection is not None:
        with session.client() as client:
            return fit_collection(client, collection)
    if source is None or not source.is_dir():
        return _fit_export(source or Path())
    if embedder is None:
        raise click.UsageError(f"{source} is a folder: name an embedder with --embedder host:port.")
    check_address(embedder)
    found = scan([source], base=Path.cwd())
    connection = session.settings
    options = calls.channel_options(
        connection.tls, session.timeout_s, connection.use_proxy, token_of(connection.key)
    )
    with closing(sync_channel(embedder, options)) as channel:
        files = [each.path for each in found.files]
        try:
            return fit_images(
                channel, files, model=model, timeout_s=session.timeout_s, told=complain
            )
        except Unavailable as error:
            raise click.ClickException(f"no embedder answers at {embedder}") from error


def _fit_export(file: Path) -> ProjectionFit:
    if not arrow_files.available():
        raise click.ClickException("Parquet needs pyarrow: pip install 'lookalike[parquet]'")
    return fit_export(file)


def _report(session: Session, projection: Projection, out: Path) -> None:
    told = {
        "file": str(out),
        "images": projection.images,
        "from": projection.own_dimension,
        "to": projection.dimension,
        "energy": projection.energy,
        "whitened": projection.whitened,
        "model": projection.model_fingerprint,
    }
    if session.output.as_json:
        session.output.document(told)
    else:
        session.output.facts(told)
