"""A change of vectors or scores raises an alarm soon; what is no change raises none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from search_service.drift import files
from search_service.drift.monitor import MOST_POINTS, WINDOW, DriftState, Monitor
from search_service.drift.pairs import POOL
from search_service.drift.view import view_of
from tests.unit.search_service.drift.queries import DIMENSION, Stream, watch

MEAN = 1_000_000.0


def learnt(seed: int = 0, queries: int = 700) -> tuple[Monitor, Stream]:
    monitor, stream = Monitor("model", DIMENSION, MEAN), Stream(seed)
    assert watch(monitor, stream, queries) is None
    return monitor, stream


@pytest.mark.parametrize("seed", range(4))
def test_vectors_that_lie_elsewhere_raise_an_alarm(seed: int) -> None:
    monitor, _ = learnt(seed)
    direction = np.random.default_rng(seed).normal(size=DIMENSION)
    found = watch(monitor, Stream(seed + 50, shift=0.9 * direction), 200)
    assert found is not None
    assert monitor.state is DriftState.DRIFTED
    assert set(found[1].measures) <= set(monitor.names)
    assert list(monitor.alarms) == [found[1]]
    # It is raised once, and what comes meanwhile is not learnt.
    counted = monitor.scores.watched
    assert watch(monitor, Stream(seed + 50, shift=direction), 100) is None
    assert monitor.scores.watched == counted


def test_scores_that_fall_raise_an_alarm() -> None:
    monitor, _ = learnt()
    found = watch(monitor, Stream(7, scores=0.2), 200)
    assert found is not None
    assert set(found[1].measures) <= {"top_score", "tenth_score"}


def test_scores_of_a_grown_collection_are_learnt_anew() -> None:
    monitor, _ = learnt()
    assert monitor.scores.is_watching
    stream = Stream(8, scores=0.3)
    for _ in range(300):
        assert monitor.add(stream.sample(items=1_200)) is None
    assert monitor.scores.learnt == 300
    assert monitor.state is DriftState.WATCHING


def test_a_query_that_is_sent_again_and_again_is_one() -> None:
    monitor, stream = learnt()
    sample, before = stream.sample(), monitor.queries
    for _ in range(500):
        assert monitor.add(sample) is None
    assert monitor.queries == before + 1


def test_searches_for_fewer_than_ten_have_no_tenth_score() -> None:
    monitor, stream = Monitor("", DIMENSION, MEAN), Stream(0)
    for _ in range(700):
        assert monitor.add(stream.sample(tenth=False)) is None
    (tenth,) = (
        each for each in view_of(monitor, is_on=True).measures if each.name == "tenth_score"
    )
    assert (tenth.evidence, list(tenth.reference), list(tenth.recent)) == (0.0, [], [])
    assert watch(monitor, Stream(7, scores=0.2), 200) is not None


def test_a_reset_ends_the_alarm_and_keeps_the_reference_or_not() -> None:
    shift = 0.7 * np.random.default_rng(3).normal(size=DIMENSION)
    for keep in (True, False):
        monitor, stream = learnt()
        assert watch(monitor, Stream(9, shift=shift), 200) is not None
        monitor.reset(keep_reference=keep)
        assert monitor.state is (DriftState.WATCHING if keep else DriftState.LEARNING)
        assert float(monitor.evidence.max()) == 0.0
        if keep:  # the old is well, the new is not
            assert watch(monitor, stream, 150) is None
            assert watch(monitor, Stream(10, shift=shift), 200) is not None
        else:  # the new is what is learnt
            assert watch(monitor, Stream(11, shift=shift), 700) is None
            assert monitor.state is DriftState.WATCHING


def test_memory_is_bounded() -> None:
    monitor, _ = learnt(queries=WINDOW * 12)
    for point in list(monitor.points) * MOST_POINTS:
        monitor.points.append(point)
    assert len(monitor.points) == MOST_POINTS
    assert monitor.pairs is not None
    assert len(monitor.pairs.pool) <= POOL
    assert sum(array.nbytes for array in monitor.to_arrays().values()) < 200_000


@pytest.mark.parametrize("queries", [0, 120, 320, 900])
def test_a_restart_goes_on_where_it_was(tmp_path: Path, queries: int) -> None:
    monitor, _ = learnt(queries=queries)
    path = tmp_path / files.FILE
    files.save(path, monitor)
    again = files.load(path, "model", DIMENSION, MEAN)
    assert (again.state, again.learnt, again.queries) == (
        monitor.state,
        monitor.learnt,
        monitor.queries,
    )
    assert again.evidence.tolist() == monitor.evidence.tolist()
    assert list(again.points) == list(monitor.points)
    shift = np.random.default_rng(3).normal(size=DIMENSION)
    if monitor.state is DriftState.WATCHING:
        assert watch(again, Stream(9, shift=0.7 * shift), 200) is not None
        files.save(path, again)
        drifted = files.load(path, "model", DIMENSION, MEAN)
        assert (drifted.state, list(drifted.alarms)) == (DriftState.DRIFTED, list(again.alarms))


def test_a_file_that_is_of_no_use_is_no_obstacle(tmp_path: Path) -> None:
    path = tmp_path / files.FILE
    monitor, _ = learnt()
    files.save(path, monitor)
    assert files.load(path, "other model", DIMENSION, MEAN).state is DriftState.LEARNING
    assert files.load(path, "model", DIMENSION + 1, MEAN).state is DriftState.LEARNING
    whole = path.read_bytes()
    for damaged in (b"", b"no archive", whole[: len(whole) // 2], whole[:-30], bytes(len(whole))):
        path.write_bytes(damaged)
        found = files.load(path, "model", DIMENSION, MEAN)
        assert (found.state, found.queries) == (DriftState.LEARNING, 0)
    step = len(whole) // 60
    for place in range(0, len(whole), step):
        flipped = bytearray(whole)
        flipped[place] ^= 0x10
        path.write_bytes(flipped)
        assert watch(files.load(path, "model", DIMENSION, MEAN), Stream(4), 3) is None
