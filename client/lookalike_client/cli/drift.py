"""`lookalike drift`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import click

from lookalike_client.cli.analysis import PAGE, say_page
from lookalike_client.cli.session import Session, connected
from lookalike_client.reports.drift import drift_page, medians_of, promise_of, state_of
from lookalike_client.reports.pages import write_page
from lookalike_client.types import Drift

_EIGHTHS = "▁▂▃▄▅▆▇█"
_COLUMNS = 40


@click.command()
@click.option("-c", "--collection", default="images", show_default=True, help="Name or alias.")
@click.option("--reset", is_flag=True, help="End an alarm and learn a new reference.")
@click.option("--keep-reference", is_flag=True, help="With --reset: keep the reference.")
@click.option("--html", type=PAGE, help="Write a page with plots to this file.")
@connected
def drift(
    session: Session, collection: str, reset: bool, keep_reference: bool, html: Path | None
) -> None:
    """Say whether the queries of a collection are what they were.

    The search service watches queries by image or vector: their vectors, and the scores
    of what they find. Another model or another way of preparing pictures shows there.
    """
    if keep_reference and not reset:
        raise click.UsageError("--keep-reference is for --reset.")
    with session.client() as client:
        if reset:
            found = client.analysis.reset_drift(collection, keep_reference=keep_reference)
        else:
            found = client.analysis.drift(collection)
    if html is not None:
        write_page(html, drift_page(found, collection=collection))
    if session.output.as_json:
        session.output.document(found)
    else:
        _print(session, found)
        say_page(session, html)


def _print(session: Session, found: Drift) -> None:
    facts: dict[str, object] = {
        "queries": state_of(found),
        "reference": f"{found.reference_queries:,} of {found.reference_wanted:,} queries",
        "watched": f"{found.watched_queries:,} queries since",
        "false alarms": promise_of(found),
    }
    for alarm in found.alarms[-3:]:
        facts[f"alarm {alarm.time:%Y-%m-%d %H:%M:%S}Z"] = (
            f"after {alarm.queries:,} queries, by {', '.join(alarm.measures)}"
        )
    session.output.facts(facts)
    if found.measures:
        session.output.table(
            "evidence for a change (1 raises the alarm), and medians",
            ["measure", "evidence>", "reference>", "newest>"],
            [
                (
                    each.name,
                    f"{each.evidence:.2g}",
                    _median(each.reference_percentiles),
                    _median(each.recent_percentiles),
                )
                for each in found.measures
            ],
        )
    if found.points:
        first, last = found.points[0].queries, found.points[-1].queries
        session.output.text(f"from query {first:,} to {last:,}:")
        strength = [math.log10(max(each.evidence, 1e-6)) for each in found.points]
        session.output.text(f"  {'evidence':<14}  {_drawn(strength, -6.0, 0.0)}  0.000001 to 1")
        for name in ("top_score", "cosine_to_mean"):
            medians = [each for each in medians_of(found, name) if each is not None]
            if medians:
                least, most = min(medians), max(medians)
                line = _drawn(medians, least, most)
                session.output.text(f"  {name:<14}  {line}  {least:.3f} to {most:.3f}")


def _median(percentiles: Sequence[float]) -> str:
    return f"{percentiles[1]:.4f}" if len(percentiles) == 3 else ""


def _drawn(values: Sequence[float], least: float, most: float) -> str:
    """Draw values as a row of bars, the newest on the right."""
    shown = values if len(values) <= _COLUMNS else _thinned(values)
    reach = (most - least) or 1.0
    places = (min(max((each - least) / reach, 0.0), 1.0) * (len(_EIGHTHS) - 1) for each in shown)
    return "".join(_EIGHTHS[round(place)] for place in places)


def _thinned(values: Sequence[float]) -> list[float]:
    """Return the greatest of each of as many runs of values as there are columns."""
    edges = [round(place * len(values) / _COLUMNS) for place in range(_COLUMNS + 1)]
    return [max(values[a:b]) for a, b in pairwise(edges)]
