"""Without a change evidence is no more than it may be; with one it grows."""

from __future__ import annotations

import numpy as np
import pytest

from search_service.drift.evidence import Evidence, Ranks
from search_service.drift.group import FITTED
from search_service.drift.monitor import Monitor
from search_service.drift.pairs import Pairs, Spread
from tests.unit.search_service.drift.queries import DIMENSION, Stream, watch

EVERY = np.ones(1, dtype=np.bool_)


def test_ranks_are_uniform_whatever_the_values_are() -> None:
    rng = np.random.default_rng(0)
    values = np.round(rng.gamma(0.7, size=(4_000, 1)), 1)  # skewed, and with many ties
    ranks = Ranks.in_bins_of(values[:200], 32)
    found = np.array([ranks.add(each, EVERY, rng)[0] for each in values[200:]])
    # The Kolmogorov-Smirnov distance of 3,800 uniform values is above .032 in one of 1,000.
    sorted_found = np.sort(found)
    assert np.abs(sorted_found - np.arange(1, len(found) + 1) / len(found)).max() < 0.032
    assert abs(np.corrcoef(found[:-1], found[1:])[0, 1]) < 0.06


@pytest.mark.parametrize("shift", [0.3, -0.3])
def test_evidence_of_ranks_is_n_on_average_and_grows_with_a_change(shift: float) -> None:
    rng = np.random.default_rng(1)
    runs, steps = 2_000, 20
    together = Evidence.none(runs)
    for _ in range(steps):
        together.add(rng.random(runs), np.ones(runs, dtype=np.bool_))
    # A mean of skewed values: the bound is five standard errors.
    error = together.values.std() / runs**0.5
    assert abs(together.values.mean() - steps) < 5 * error
    for _ in range(150):
        together.add(np.clip(rng.random(runs) + shift, 0.0, 1.0), np.ones(runs, dtype=np.bool_))
    assert np.median(together.values) > 1e6


def test_a_measure_that_a_query_lacks_stays_as_it_is() -> None:
    evidence = Evidence.none(2)
    evidence.add(np.array([0.5, 0.5]), np.array([True, False]))
    assert evidence.values[0] > 0.0
    assert evidence.values[1] == 0.0


def test_evidence_of_pairs_is_n_on_average() -> None:
    totals = []
    for seed in range(300):
        stream = Stream(seed)
        reference = np.stack([stream.sample().vector for _ in range(60)])
        pairs = Pairs(Spread.of(reference, 8), reference.mean(0, dtype=np.float64), 60)
        for _ in range(60):
            pairs.put_by(stream.sample().vector)
        for _ in range(24):
            pairs.add(stream.sample().vector)
        totals.append(pairs.evidence)
    # Every second of 24 is bet on.
    error = np.std(totals) / len(totals) ** 0.5
    assert abs(np.mean(totals) - 12) < 5 * error


def test_false_alarms_are_within_the_stated_rate_over_a_thousand_windows() -> None:
    # In a window of 50 queries the probability is at most 50 / 1,000. Each stream has 100
    # windows after its reference; an alarm ends its window, and watching begins anew.
    mean, windows, window, streams = 1_000.0, 100, 50, 10
    alarms = 0
    for seed in range(streams):
        monitor, stream = Monitor("", DIMENSION, mean), Stream(seed)
        assert watch(monitor, stream, 500) is None
        for _ in range(windows):
            if watch(monitor, stream, window) is not None:
                alarms += 1
            monitor.reset(keep_reference=True)
    assert streams * windows == 1_000
    # At most 50 are to be expected; none at all would say that the test cannot fail.
    assert 0 < alarms <= 50


def test_evidence_goes_on_over_windows_that_are_not_reset() -> None:
    # The same without resets: 10,000 queries, of which at most 10 may raise an alarm.
    monitor, stream = Monitor("", DIMENSION, 1_000.0), Stream(99)
    assert watch(monitor, stream, 500) is None
    alarms, queries = 0, 0
    while queries < 10_000:
        found = watch(monitor, stream, 10_000 - queries)
        if found is None:
            break
        alarms, queries = alarms + 1, queries + found[0]
        monitor.reset(keep_reference=True)
    assert alarms <= 10


def test_bins_are_laid_down_by_queries_that_are_not_ranked() -> None:
    monitor, stream = Monitor("", DIMENSION, 1e6), Stream(3)
    watch(monitor, stream, FITTED + 30)
    assert monitor.shapes is not None
    assert monitor.shapes.ranks is not None
    assert monitor.shapes.ranks.counts.sum(axis=1).tolist() == [30] * len(monitor.shapes.names)
