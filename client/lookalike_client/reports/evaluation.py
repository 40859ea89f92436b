"""An evaluation as a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from lookalike_client.reports.charts import Axis, Series, areas, densities
from lookalike_client.reports.pages import render
from lookalike_client.types import EvaluationMetric, EvaluationReport, RankingMethod

METHOD_NAMES = {
    RankingMethod.EXACT: "exact",
    RankingMethod.GRAPH: "graph",
    RankingMethod.GRAPH_EXACT: "search",
}
# The weakest labels are what one looks for.
_MOST_CLASSES = 100


@dataclass(frozen=True, slots=True)
class MetricRow:
    """A measure with its value for each of some methods, None where it has none."""

    name: str
    cells: Sequence[EvaluationMetric | None]
    attainable: float | None


def metric_rows(report: EvaluationReport, methods: Sequence[RankingMethod]) -> list[MetricRow]:
    """Return the measures in their order, each with its values."""
    found: dict[str, dict[RankingMethod, EvaluationMetric]] = {}
    for metric in report.metrics:
        found.setdefault(metric.name, {})[metric.method] = metric
    return [
        MetricRow(
            name,
            [values.get(method) for method in methods],
            next(
                (each.attainable for each in values.values() if each.attainable is not None), None
            ),
        )
        for name, values in found.items()
    ]


def methods_of(report: EvaluationReport) -> list[RankingMethod]:
    """Return the ways of ranking that were judged."""
    judged = {metric.method for metric in report.metrics}
    return [method for method in METHOD_NAMES if method in judged]


def depths_of(report: EvaluationReport) -> list[int]:
    """Return the depths at which rankings were judged, ascending."""
    names = (each.name for each in report.metrics if each.name.startswith("precision@"))
    return sorted({int(name.split("@")[1]) for name in names})


def evaluation_page(
    report: EvaluationReport,
    *,
    collection: str,
    label_field: str,
    latency_ms: Mapping[str, Sequence[float]],
) -> str:
    """Return the page; `latency_ms` holds median, 95th and 99th percentile by stage."""
    methods, depths = methods_of(report), depths_of(report)
    classes = sorted(report.classes, key=lambda each: (each.map, each.label))
    return render(
        "evaluation.html.j2",
        title=f"Evaluation of {collection}",
        subtitle=f"Items are alike where they have the same {label_field}.",
        facts=[
            ("items", f"{report.items:,}"),
            ("with a label", f"{report.labelled:,}"),
            ("labels", f"{report.labels:,}"),
            ("queries", f"{report.queries:,}"),
            ("in graphs", f"{report.in_graphs:,}"),
        ],
        confidence=f"{report.confidence:.0%}",
        methods=[METHOD_NAMES[method] for method in methods],
        rows=metric_rows(report, methods),
        histogram=score_histogram(
            ("same label", report.relevant_scores), ("other label", report.other_scores)
        ),
        latency=list(latency_ms.items()),
        classes=classes[:_MOST_CLASSES],
        left_out=len(classes[_MOST_CLASSES:]),
        first=depths[0],
        last=depths[-1],
    )


def score_histogram(
    good: tuple[str, Sequence[int]],
    other: tuple[str, Sequence[int]],
    mark: tuple[float, str] | None = None,
) -> Markup:
    """Draw how likely each cosine is for two kinds of pairs, counts in bins from -1 to 1."""
    kinds = [(*good, "good"), (*other, "other")]
    bins = len(good[1])
    middles = [-1 + (place + 0.5) * 2 / bins for place in range(bins)]
    used = [place for place in range(bins) if good[1][place] or other[1][place]]
    first, last = (used[0], used[-1] + 1) if used else (0, bins)
    series = [
        Series(name, middles[first:last], densities(counts)[first:last], colour)
        for name, counts, colour in kinds
    ]
    highest = max(max(each.y, default=0.0) for each in series)
    least, most = -1 + first * 2 / bins, -1 + last * 2 / bins
    return areas(series, Axis("cosine", least, most), Axis("share", 0.0, highest), mark=mark)
