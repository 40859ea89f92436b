"""`lookalike evaluate`."""

from __future__ import annotations

import random
from functools import partial
from itertools import islice
from pathlib import Path

import click

from lookalike_client import Client
from lookalike_client.challenge.times import Stopwatch
from lookalike_client.cli.analysis import PAGE, progress, say_page
from lookalike_client.cli.session import Session, connected
from lookalike_client.indexing.scan import scan
from lookalike_client.inputs import Query
from lookalike_client.reports.evaluation import (
    METHOD_NAMES,
    depths_of,
    evaluation_page,
    methods_of,
    metric_rows,
)
from lookalike_client.reports.pages import write_page
from lookalike_client.types import EvaluationReport, Fields

_WORST_LABELS = 5
# Of 200 queries, the second slowest is the 99th percentile.
_TIMED_SEARCHES = 200
_STAGES = {"end to end": "the whole call"}
# Enough that searches do not find everything in the processor's caches.
_SAMPLED_IDS = 10_000


@click.command()
@click.option("-c", "--collection", default="images", show_default=True, help="Name or alias.")
@click.option("--label-field", required=True, help="Metadata field whose values say what is alike.")
@click.option("--filter", "condition", help="Only items that meet it count.")
@click.option("--queries", help="Only these of them are queries, such as: split = 'test'")
@click.option("--max-queries", default=1_000, show_default=True, type=click.IntRange(1, 100_000))
@click.option(
    "-k", "ks", multiple=True, type=click.IntRange(1, 1_000), help="A depth; may be given again."
)
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0))
@click.option(
    "--images",
    "folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The indexed folder: its files are timed as queries, embedding included.",
)
@click.option("--html", type=PAGE, help="Write a page with plots to this file.")
@connected
def evaluate(
    session: Session,
    collection: str,
    label_field: str,
    condition: str | None,
    queries: str | None,
    max_queries: int,
    ks: tuple[int, ...],
    seed: int,
    folder: Path | None,
    html: Path | None,
) -> None:
    """Measure how well a collection finds what its labels call alike.

    Labelled items are searched for among the others. Precision, recall, nDCG and average
    precision are given for exact ranking, for the order of the graph, and for searches.
    """
    with session.client() as client, progress() as told:
        report = client.analysis.evaluate(
            collection,
            label_field,
            filter=condition,
            queries=queries,
            max_queries=max_queries,
            ks=ks or (1, 5, 10, 50, 100),
            seed=seed,
            on_progress=told,
        )
        limit = max(depths_of(report))
        latency = _latency_ms(client, collection, limit, seed, folder)
    if html is not None:
        write_page(
            html,
            evaluation_page(
                report, collection=collection, label_field=label_field, latency_ms=latency
            ),
        )
    if session.output.as_json:
        session.output.document({"report": report, "latency_ms": latency})
    else:
        _print_evaluation(session, report, latency)
        say_page(session, html)


def _print_evaluation(
    session: Session, report: EvaluationReport, latency: dict[str, list[float]]
) -> None:
    methods = methods_of(report)
    rows = []
    for row in metric_rows(report, methods):
        cells = [
            "" if cell is None else f"{cell.value:.4f} ±{(cell.high - cell.low) / 2:.4f}"
            for cell in row.cells
        ]
        most = "" if row.attainable is None else f"{row.attainable:.4f}"
        rows.append((row.name, *cells, most))
    session.output.table(
        f"{report.queries:,} queries among {report.items:,} items, {report.labels:,} labels",
        ["measure", *(f"{METHOD_NAMES[method]}>" for method in methods), "at most>"],
        rows,
    )
    first, last = depths_of(report)[0], depths_of(report)[-1]
    worst = sorted(report.classes, key=lambda each: (each.map, each.label))[:_WORST_LABELS]
    session.output.table(
        f"the {len(worst)} weakest labels of {len(report.classes)}",
        ["label", "items>", f"p@{first}>", f"p@{last}>", "mAP>"],
        [
            (
                each.label,
                f"{each.items:,}",
                f"{each.precision_first:.3f}",
                f"{each.precision_last:.3f}",
                f"{each.map:.3f}",
            )
            for each in worst
        ],
    )
    session.output.table(
        "time of searches, one caller, milliseconds",
        ["stage", "median>", "95 %>", "99 %>"],
        [(name, *(f"{value:.2f}" for value in values)) for name, values in latency.items()],
    )


def _latency_ms(
    client: Client, collection: str, limit: int, seed: int, folder: Path | None
) -> dict[str, list[float]]:
    """Time searches for stored items, one after another; percentiles by stage.

    With the `folder` that was indexed, its files are searched for, and embedded on the way.
    """
    ids = [item.id for item in islice(client.list(collection, fields=Fields()), _SAMPLED_IDS)]
    files: dict[str, Path] = {}
    if folder is not None:
        stored = set(ids)
        found = scan([folder], base=Path.cwd()).files
        files = {file.id: file.path for file in found if file.id in stored}
        if not files:
            raise click.ClickException(
                f"none of the {len(found):,} images in {folder} is in {collection}: name the "
                "folder as it was when it was indexed"
            )
        ids = list(files)
    if not ids:
        return {}
    search = partial(
        client.search, collection, limit=limit, explain=True, fields=Fields(metadata=False)
    )
    queries = {id: Query.by_image(files[id]) if id in files else Query.by_id(id) for id in set(ids)}
    chosen = random.Random(seed).choices(ids, k=_TIMED_SEARCHES)  # noqa: S311 - a sample
    watch = Stopwatch()
    watch.time([partial(search, queries[id]) for id in chosen])
    return {
        _STAGES.get(name, name): [times.p50, times.p95, times.p99]
        for name, times in watch.times_ms().items()
    }
