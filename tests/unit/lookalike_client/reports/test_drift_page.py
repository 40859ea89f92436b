"""The page and the plots of drift, of any state."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from lookalike_client.reports.drift import drift_page, medians_of, promise_of
from lookalike_client.types import Drift, DriftAlarm, DriftMeasure, DriftPoint, DriftState

WHEN = datetime(2026, 5, 1, tzinfo=UTC)
HOSTILE = '<script>alert("x")</script>'


def drift(state: DriftState, points: int, measure: str = "top_score") -> Drift:
    return Drift(
        state=state,
        model_fingerprint="m",
        reference_queries=500,
        reference_wanted=500,
        watched_queries=50 * points,
        mean_queries_to_false_alarm=1e6,
        measures=[
            DriftMeasure("vectors", 0.2, [], []),
            DriftMeasure(measure, 1e-9, [0.5, 0.6, 0.7], [0.5, 0.61, 0.7]),
            DriftMeasure("tenth_score", 0.0, [], []),
        ],
        points=[
            DriftPoint(WHEN, 500 + 50 * n, 10.0 ** (n - 9), [0.6 + n / 100, None])
            for n in range(points)
        ],
        alarms=[DriftAlarm(WHEN, 40, [measure])] if state is DriftState.DRIFTED else [],
        read_time=WHEN,
    )


@pytest.mark.parametrize("state", DriftState)
@pytest.mark.parametrize(("points", "plots"), [(0, 0), (1, 0), (12, 2)])
def test_a_page_draws_what_there_is(state: DriftState, points: int, plots: int) -> None:
    page = drift_page(drift(state, points), collection="things")
    assert page.count("<svg") == plots
    assert f"Queries of things: {state}" in page
    assert ("<h2>Alarms</h2>" in page) is (state is DriftState.DRIFTED)
    assert "at most 0.001" in page


def test_names_stay_text() -> None:
    page = drift_page(drift(DriftState.DRIFTED, 12, HOSTILE), collection=HOSTILE)
    assert "<script" not in page


def test_medians_belong_to_their_measure() -> None:
    found = drift(DriftState.WATCHING, 3)
    assert medians_of(found, "top_score") == pytest.approx([0.6, 0.61, 0.62])
    assert medians_of(found, "tenth_score") == [None] * 3
    assert medians_of(found, "vectors") == medians_of(found, "nothing") == []
    assert "1,000" in promise_of(found)
