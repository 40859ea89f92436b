"""`lookalike evaluate`."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import click
import numpy as np

from lookalike_client import Client
from lookalike_client.cli.analysis import PAGE, progress, say_page
from lookalike_client.cli.session import Session, connected
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
_PERCENTILES = (50, 95, 99)
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
        latency = _latency_ms(client, collection, max(depths_of(report)), seed)
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


def _latency_ms(client: Client, collection: str, limit: int, seed: int) -> dict[str, list[float]]:
    """Time searches for stored items, one after another; percentiles by stage."""
    ids = [item.id for item in islice(client.list(collection, fields=Fields()), _SAMPLED_IDS)]
    if not ids:
        return {}
    chosen = random.Random(seed).choices(ids, k=_TIMED_SEARCHES)  # noqa: S311 - a sample
    whole, stages = [], []
    for id in chosen:
        began_s = time.perf_counter()
        result = client.search(
            collection, Query.by_id(id), limit=limit, explain=True, fields=Fields()
        )
        whole.append(time.perf_counter() - began_s)
        if result.plan is not None:
            stages.append(result.plan.search_s)
    return {
        "index and exact ranking": _percentiles_ms(stages),
        "the whole call": _percentiles_ms(whole),
    }


def _percentiles_ms(seconds: Sequence[float]) -> list[float]:
    return [float(np.percentile(seconds, each)) * 1e3 for each in _PERCENTILES] if seconds else []
