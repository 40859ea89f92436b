"""Pages of reports: what they say, that they stand alone, that text stays text."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any

import pytest

from lookalike_client.reports.calibration import calibration_page
from lookalike_client.reports.charts import Axis, Series, lines
from lookalike_client.reports.evaluation import evaluation_page, metric_rows
from lookalike_client.types import (
    Calibration,
    CalibrationMode,
    CalibrationPoint,
    CalibrationReport,
    EvaluationClass,
    EvaluationMetric,
    EvaluationReport,
    RankingMethod,
)

HOSTILE = '<script>alert("x")</script>&'


class _Reader(HTMLParser):
    """Collects the tags of a page, and what it would load."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.loaded: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loaded += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data: str) -> None:
        self.text += data


def read(page: str) -> _Reader:
    reader = _Reader()
    reader.feed(page)
    return reader


def report(label: str = "shoe") -> EvaluationReport:
    bins = [0] * 200
    bins[150] = 7
    exact = EvaluationMetric(RankingMethod.EXACT, "precision@1", 0.5, 0.4, 0.6, 0.9)
    return EvaluationReport(
        items=10,
        labelled=9,
        labels=2,
        queries=8,
        alone=0,
        confidence=0.95,
        in_graphs=0,
        metrics=[exact, EvaluationMetric(RankingMethod.EXACT, "map", 0.25, 0.2, 0.3, None)],
        classes=[EvaluationClass(label, 4, 4, 0.5, 0.4, 0.3, 0.2)],
        relevant_scores=bins,
        other_scores=bins,
    )


def decision(mode: CalibrationMode = CalibrationMode.BOUND) -> CalibrationReport:
    point = CalibrationPoint(0.9, 1.0, 0.5, 0.0)
    return CalibrationReport(
        decision=Calibration(
            threshold=0.9,
            model_fingerprint="",
            mode=mode,
            precision_at_least=0.99,
            false_positive_rate_at_most=None,
            confidence=0.95,
            images=400,
            gallery_items=1_000,
            create_time=datetime(2026, 1, 1, tzinfo=UTC),
        ),
        precision=1.0,
        recall=0.5,
        false_positive_rate=0.0,
        precision_low=0.99,
        false_positive_rate_high=0.01,
        recall_low=0.4,
        pairs_alike=400,
        pairs_other=400,
        curve=[point, CalibrationPoint(0.8, 0.8, 0.9, 0.2)],
        alike_scores=[0] * 199 + [4],
        other_scores=[4] + [0] * 199,
    )


def test_an_evaluation_page_says_what_was_measured_and_loads_nothing() -> None:
    page = evaluation_page(
        report(), collection="shoes", label_field="kind", latency_ms={"call": [1.0, 2.0, 3.0]}
    )
    reader = read(page)
    assert "Evaluation of shoes" in reader.text
    assert "0.5000" in reader.text
    assert "0.4000\u20130.6000" in reader.text
    assert reader.loaded == []
    assert {"script", "img", "link"}.isdisjoint(reader.tags)
    assert reader.tags.count("svg") == 1


def test_labels_and_names_stay_text() -> None:
    page = evaluation_page(
        report(HOSTILE), collection=HOSTILE, label_field=HOSTILE, latency_ms={HOSTILE: [1, 2, 3]}
    )
    assert "script" not in read(page).tags
    assert read(page).text.count(HOSTILE) >= 4
    page = calibration_page(decision(), collection=HOSTILE, evidence=HOSTILE)
    assert "script" not in read(page).tags
    assert HOSTILE in read(page).text


@pytest.mark.parametrize(
    ("mode", "says"),
    [
        (CalibrationMode.BOUND, "holds with 95% confidence, resting on 400 images"),
        (CalibrationMode.POINT, "promises nothing beyond the sample"),
    ],
)
def test_a_calibration_page_says_what_the_threshold_promises(
    mode: CalibrationMode, says: str
) -> None:
    reader = read(calibration_page(decision(mode), collection="c", evidence="pairs"))
    assert says in " ".join(reader.text.split())
    assert reader.tags.count("svg") == 3


def test_measures_stand_side_by_side_by_method() -> None:
    metrics = [
        EvaluationMetric(RankingMethod.EXACT, "mrr", 0.5, 0.4, 0.6, None),
        EvaluationMetric(RankingMethod.GRAPH, "recall_of_exact@10", 0.9, 0.8, 1.0, None),
    ]
    both = EvaluationReport(**{**_fields(report()), "metrics": metrics})
    rows = metric_rows(both, [RankingMethod.EXACT, RankingMethod.GRAPH])
    assert [(row.name, [cell is None for cell in row.cells]) for row in rows] == [
        ("mrr", [False, True]),
        ("recall_of_exact@10", [True, False]),
    ]


def test_a_line_goes_through_its_points_within_the_axes() -> None:
    series = Series("s", [0.0, 0.5, 1.0], [0.0, 1.0, 2.0], "good")
    svg = str(lines([series], Axis("x", 0.0, 1.0), Axis("y", 0.0, 1.0)))
    (points,) = re.findall(r'points="([^"]+)"', svg)
    pairs = [tuple(map(float, pair.split(","))) for pair in points.split()]
    # From left to right, upwards; what is above the axis is drawn at its end.
    assert [x for x, _ in pairs] == sorted(x for x, _ in pairs)
    assert pairs[0][1] > pairs[1][1] == pairs[2][1]


@pytest.mark.parametrize(
    ("least", "most", "ticks"),
    [
        (0.0, 1.0, [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (0.06, 1.0, [0.2, 0.4, 0.6, 0.8, 1.0]),
        (-0.3, 0.7, [-0.2, 0.0, 0.2, 0.4, 0.6]),
        (0.0, 0.0, [0.0]),
    ],
)
def test_ticks_are_round(least: float, most: float, ticks: list[float]) -> None:
    assert Axis("a", least, most).ticks() == pytest.approx(ticks)


def _fields(value: EvaluationReport) -> dict[str, Any]:
    return {name: getattr(value, name) for name in EvaluationReport.__slots__}
