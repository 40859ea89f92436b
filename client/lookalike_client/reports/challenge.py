"""A challenge as a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from markupsafe import Markup

from lookalike_client.challenge.quality import Measured
from lookalike_client.challenge.run import Challenge, Options, Threshold
from lookalike_client.reports.calibration import promise_of
from lookalike_client.reports.charts import Axis, Series, lines
from lookalike_client.reports.evaluation import score_histogram
from lookalike_client.reports.pages import render
from lookalike_client.types import PlanKind

# The weakest labels are what one looks for.
_MOST_CLASSES = 100
_NAMES_SHOWN = 10
_PERCENTS = range(101)
_COLOURS = ("good", "third", "other")

_EXACTLY = {PlanKind.EXACT.value, PlanKind.EXACT_FILTERED.value}


def answered_by(plans: Mapping[str, int]) -> str:
    """Say how searches were answered."""
    if plans.keys() <= _EXACTLY:
        return "so few items are all compared exactly"
    return ", ".join(f"{count:,} by {kind}" for kind, count in sorted(plans.items()))


def threshold_text(threshold: Threshold) -> str:
    """Say which near-duplicate threshold was picked, and what it reaches."""
    report = threshold.report
    if report is None:
        return f"none: {threshold.why}"
    text = (
        f"{report.decision.threshold:.3f} finds {report.recall:.1%} of the copies, and "
        f"{report.false_positive_rate:.1%} of the images match one that is no copy. "
        f"{promise_of(report.decision)}"
    )
    return f"{text} A bound beyond it: {threshold.why}." if threshold.why else text


def challenge_page(result: Challenge, *, folder: str, options: Options) -> str:
    """Return the page."""
    images, indexed = result.images, result.indexed
    report = result.threshold.report
    mark = None
    if report is not None:
        at = report.decision.threshold
        mark = (at, f"threshold {at:.3f}")
    return render(
        "challenge.html.j2",
        title=f"Challenge: {folder}",
        subtitle=(
            f"Each image searched for among the others. Label: {images.label_column}"
            + (f"; sub-label: {images.sublabel_column}." if images.sublabel_column else ".")
        ),
        facts=_facts(result),
        quality=[
            row
            for what, measured in (
                ("any item; alike is the same label", result.unfiltered),
                ("items of the same label; alike is the same sub-label", result.filtered),
            )
            for row in _quality(what, measured)
        ],
        ann=[
            ("any item", result.recall_of_exact, answered_by(result.plans)),
            (
                "items of the same label",
                result.filtered_recall_of_exact,
                answered_by(result.filtered_plans),
            ),
        ],
        threshold=threshold_text(result.threshold),
        near=(result.threshold.images, result.threshold.pairs) if report else None,
        histogram=report
        and score_histogram(
            ("copies", report.alike_scores), ("other pairs", report.other_scores), mark
        ),
        latency=[
            (kind, stage, times)
            for kind, stages in result.times_ms.items()
            for stage, times in stages.items()
        ],
        latency_plot=_latency_plot(result.calls_s),
        classes=result.classes[:_MOST_CLASSES],
        classes_left=len(result.classes[_MOST_CLASSES:]),
        left_out=[
            (each.why, len(each.names), each.names[:_NAMES_SHOWN]) for each in result.left_out
        ],
        fingerprint=indexed.model_fingerprint,
        dimension=indexed.dimension,
        seed=options.seed,
    )


def _facts(result: Challenge) -> list[tuple[str, str]]:
    indexed = result.indexed
    by_id = result.times_ms["by id"]["end to end"]
    facts = [
        ("images", f"{len(indexed.ids):,}"),
        ("precision@10", f"{result.unfiltered.precision:.4f}"),
        ("precision@10 within labels", f"{result.filtered.precision:.4f}"),
        ("ANN recall@10", f"{result.recall_of_exact:.4f}"),
        ("mean search, ms", f"{by_id.mean:.2f}"),
        ("indexed, images/s", f"{len(indexed.ids) / max(indexed.took_s, 1e-9):.1f}"),
    ]
    if result.threshold.report is not None:
        at = result.threshold.report.decision.threshold
        facts.insert(4, ("duplicate threshold", f"{at:.3f}"))
    return [each for each in facts if result.filtered.queries or "within" not in each[0]]


def _quality(what: str, measured: Measured) -> list[tuple[str, str, float, float, int]]:
    if not measured.queries:
        return []
    return [
        (
            "precision@10",
            what,
            measured.precision,
            measured.precision_attainable,
            measured.queries,
        ),
        ("recall@10", what, measured.recall, measured.recall_attainable, measured.queries),
    ]


def _latency_plot(calls_s: Mapping[str, Sequence[float]]) -> Markup:
    """Draw how many of the calls took how long, up to the 99th percentile."""
    series = [
        Series(
            name,
            [float(ms) for ms in np.percentile(np.asarray(seconds) * 1e3, _PERCENTS)],
            [percent / 100 for percent in _PERCENTS],
            colour,
        )
        for (name, seconds), colour in zip(calls_s.items(), _COLOURS, strict=True)
    ]
    most = max(each.x[99] for each in series)
    return lines(series, Axis("milliseconds", 0.0, most), Axis("share of calls", 0.0, 1.0))
