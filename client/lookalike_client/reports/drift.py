"""The drift of queries as a page."""

from __future__ import annotations

import math
from collections.abc import Sequence

from markupsafe import Markup

from lookalike_client.reports.charts import Axis, Series, lines
from lookalike_client.reports.pages import render
from lookalike_client.types import Drift, DriftMeasure, DriftState

# The measure of whole vectors, which has no median.
_UNNUMBERED = "vectors"
# Evidence is drawn by its power of ten, from here up.
_LEAST_POWER = -6.0
_STATES = {
    DriftState.OFF: "not watched: the service is told to watch none (--drift-sample-share)",
    DriftState.LEARNING: "being learnt, as a reference",
    DriftState.WATCHING: "as they were",
    DriftState.DRIFTED: "no longer what they were: another model, another way of preparing "
    "pictures, or other pictures. When it is mended: --reset --keep-reference; when it was "
    "meant: --reset",
}


def state_of(found: Drift) -> str:
    """Say what the queries are, and what to do."""
    return _STATES[found.state]


def promise_of(found: Drift) -> str:
    """Say how often an alarm is false."""
    mean = found.mean_queries_to_false_alarm
    return (
        f"within 1,000 watched queries with a probability of at most {1_000 / mean:.2g}, "
        "where they come in no order"
    )


def medians_of(found: Drift, name: str) -> list[float | None]:
    """Return the medians of a measure, point by point."""
    numbered = [each.name for each in found.measures if each.name != _UNNUMBERED]
    if name not in numbered:
        return []
    place = numbered.index(name)
    return [each.medians[place] if place < len(each.medians) else None for each in found.points]


def drift_page(found: Drift, *, collection: str) -> str:
    """Return the page."""
    plots = [
        (each, _measure_plot(found, each)) for each in found.measures if each.name != _UNNUMBERED
    ]
    return render(
        "drift.html.j2",
        title=f"Queries of {collection}: {found.state}",
        subtitle=f"They are {state_of(found)}.",
        facts=[
            ("queries in the reference", f"{found.reference_queries:,}"),
            ("watched since", f"{found.watched_queries:,}"),
            ("alarms", f"{len(found.alarms):,}"),
        ],
        promise=f"False alarms: {promise_of(found)}.",
        measures=found.measures,
        evidence=_evidence_plot(found),
        plots=[(each.name, plot) for each, plot in plots if plot is not None],
        alarms=found.alarms,
    )


def _evidence_plot(found: Drift) -> Markup | None:
    if len(found.points) < 2:
        return None
    x = [float(each.queries) for each in found.points]
    powers = [math.log10(max(each.evidence, 10**_LEAST_POWER)) for each in found.points]
    series = [
        Series("evidence", x, powers, "third"),
        Series("alarm", [x[0], x[-1]], [0.0, 0.0], "other"),
    ]
    most = max(1.0, math.ceil(max(powers)))
    return lines(series, Axis("queries", x[0], x[-1]), Axis("power of ten", _LEAST_POWER, most))


def _measure_plot(found: Drift, measure: DriftMeasure) -> Markup | None:
    pairs = [
        (float(point.queries), median)
        for point, median in zip(found.points, medians_of(found, measure.name), strict=True)
        if median is not None
    ]
    if len(pairs) < 2:
        return None
    x, medians = [each[0] for each in pairs], [each[1] for each in pairs]
    series = [Series(f"median of 50 queries: {measure.name}", x, medians, "third")]
    bounds = list(medians)
    for name, level in zip(
        ("10 % of the reference", "median", "90 %"), measure.reference_percentiles, strict=False
    ):
        series.append(Series(name, [x[0], x[-1]], [level, level], _colour(name)))
        bounds.append(level)
    return lines(series, Axis("queries", x[0], x[-1]), Axis(measure.name, *_wide(bounds)))


def _colour(name: str) -> str:
    return "good" if name == "median" else "faint"


def _wide(values: Sequence[float]) -> tuple[float, float]:
    """Return a range with a little room on both sides."""
    least, most = min(values), max(values)
    room = (most - least) * 0.1 or 0.01
    return least - room, most + room
