"""The builder killed at every step, again and again: the set equals the store."""

from __future__ import annotations

import contextlib
import os
import random
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from search_service.domain.collection import IndexSettings
from search_service.segments.building.assembly import Step
from search_service.segments.current import CURRENT
from search_service.segments.errors import BuildFailed
from search_service.segments.segment import Segment
from search_service.segments.source import DiskSegments
from tests.unit.search_service.segments.support import (
    IDENTITY,
    SETTINGS,
    SmallStore,
    live_ordinals_of,
    self_misses,
    unit_vectors,
)

KILLS_PER_STEP = 20
WAIT_S = 120.0
FIRST = 12_000
CHEAP = replace(SETTINGS, connectivity=8, expansion_add=16, graph_dimension=8)


@pytest.mark.chaos
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("step", list(Step))
def test_killed_twenty_times_at_each_step(tmp_path: Path, step: Step) -> None:
    rng = random.Random(step)
    store = SmallStore(tmp_path)
    store.add(unit_vectors(FIRST))
    failures = 0
    for kill in range(KILLS_PER_STEP):
        # Settings of its own make each build one from the ground up, with every step.
        settings = replace(CHEAP, expansion_add=16 + kill)
        batches = 3 if step in {Step.READ, Step.INSERT, Step.AUDIT} else 1
        failures += _killed_build(store, settings, step, rng.randint(1, batches))
        segments = _open_all(store)
        covered = max((one.manifest.upto_ordinal for one in segments), default=0)
        expected = [ordinal for ordinal in sorted(store.vectors) if ordinal <= covered]
        assert live_ordinals_of(segments, store) == expected
        _close(segments)
        store.add(unit_vectors(300, seed=kill + 1))
        store.delete(rng.sample(sorted(store.vectors), 50))
    assert failures >= KILLS_PER_STEP // 4, "hardly any kill came before the end of its build"
    source = store.source()
    source.build(store.job(settings=CHEAP)).result(WAIT_S)
    source.close()
    segments = _open_all(store)
    assert live_ordinals_of(segments, store) == sorted(store.vectors)
    assert [node for one in segments for node in self_misses(one)] == []
    _close(segments)
    store.close()


def _killed_build(store: SmallStore, settings: IndexSettings, step: Step, occurrence: int) -> bool:
    """Kill the builder when it reports `step` for the `occurrence`-th time."""
    seen = 0

    def kill(pid: int, at: str) -> None:
        nonlocal seen
        seen += at == step
        if seen >= occurrence and at == step:
            with contextlib.suppress(ProcessLookupError):  # it may have ended since
                os.kill(pid, signal.SIGKILL)

    source = DiskSegments(
        store.segments_path,
        uid=IDENTITY.uid,
        dimension=IDENTITY.dimension,
        fingerprint=IDENTITY.model_fingerprint,
        nice=0,
        on_step=kill,
    )
    future = source.build(store.job(settings=settings))
    with contextlib.suppress(BuildFailed):
        future.result(WAIT_S)
    source.close()
    return future.exception() is not None


def _open_all(store: SmallStore) -> list[Segment]:
    source = store.source()
    segments, problems = source.open_current()
    assert problems == []
    names = {path.name for path in store.segments_path.iterdir()} - {CURRENT}
    assert names == {one.path.name for one in segments}
    return segments


def _close(segments: list[Segment]) -> None:
    for one in segments:
        one.close()
