"""A calibration as a page."""

from __future__ import annotations

from lookalike_client.reports.charts import Axis, Series, lines
from lookalike_client.reports.evaluation import score_histogram
from lookalike_client.reports.pages import render
from lookalike_client.types import Calibration, CalibrationMode, CalibrationReport


def constraint_of(decision: Calibration) -> str:
    """Say what had to hold, such as `precision at least 0.99`."""
    if decision.precision_at_least is not None:
        return f"precision at least {decision.precision_at_least:g}"
    return f"false-positive rate at most {decision.false_positive_rate_at_most:g}"


def promise_of(decision: Calibration) -> str:
    """Say what a threshold promises, and on how much it rests."""
    if decision.mode is CalibrationMode.BOUND:
        return (
            f"Beyond this sample too, {constraint_of(decision)} holds with "
            f"{decision.confidence:.0%} confidence, resting on {decision.images:,} images and a "
            f"collection of {decision.gallery_items:,} items."
        )
    return (
        f"The best threshold on this sample of {decision.images:,} images with "
        f"{constraint_of(decision)}. It promises nothing beyond the sample."
    )


def calibration_page(report: CalibrationReport, *, collection: str, evidence: str) -> str:
    """Return the page; `evidence` says what is taken to be alike."""
    decision = report.decision
    x = [point.threshold for point in report.curve]
    curves = [
        Series("precision", x, [point.precision for point in report.curve], "good"),
        Series("recall", x, [point.recall for point in report.curve], "third"),
        Series(
            "false-positive rate", x, [point.false_positive_rate for point in report.curve], "other"
        ),
    ]
    mark = (decision.threshold, f"threshold {decision.threshold:.3f}")
    share = Axis("share", 0.0, 1.0)
    return render(
        "calibration.html.j2",
        title=f"Threshold for {collection}: {decision.threshold:.3f}",
        subtitle=f"{evidence}; {constraint_of(decision)}; mode {decision.mode}.",
        facts=[
            ("threshold", f"{decision.threshold:.3f}"),
            ("recall", f"{report.recall:.1%}"),
            ("precision", f"{report.precision:.1%}"),
            (f"precision, {decision.confidence:.0%} bound", f"{report.precision_low:.1%}"),
            ("false-positive rate", f"{report.false_positive_rate:.1%}"),
            (
                f"the same, {decision.confidence:.0%} bound",
                f"{report.false_positive_rate_high:.1%}",
            ),
            ("pairs alike", f"{report.pairs_alike:,}"),
            ("other pairs", f"{report.pairs_other:,}"),
        ],
        promise=promise_of(decision),
        histogram=score_histogram(
            ("alike", report.alike_scores), ("other pairs", report.other_scores), mark
        ),
        curve=lines(curves, Axis("threshold", min(x), max(x)), share, mark=mark),
        precision_recall=lines(
            [
                Series(
                    "precision",
                    [point.recall for point in report.curve],
                    [point.precision for point in report.curve],
                    "good",
                )
            ],
            Axis("recall", 0.0, 1.0),
            share,
        ),
    )
