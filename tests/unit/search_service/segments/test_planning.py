from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from search_service.domain.arrays import I64
from search_service.domain.collection import Dtype
from search_service.segments.building.planning import (
    Action,
    BuildPlan,
    Current,
    make_plan,
    make_seal_plan,
)
from search_service.segments.checksums import FileSum
from search_service.segments.manifest import CODES, Manifest
from tests.unit.search_service.segments.support import IDENTITY, SETTINGS


def segment(name: str, after: int, upto: int, *, graph: bool = True) -> Current:
    manifest = Manifest(
        identity=IDENTITY,
        settings=SETTINGS,
        after_ordinal=after,
        upto_ordinal=upto,
        nodes=upto - after,
        ordinals=upto - after,
        side=0,
        has_graph=graph,
        graph_dimension=SETTINGS.graph_dimension,
        captured_energy=0.9,
        quantum=0.0,
        rows_per_chunk=16_384,
        rows_per_block=64,
        files={},
    )
    return Current(name, manifest)


def live(upto: int, *, dead: range = range(0)) -> I64:
    return np.setdiff1d(np.arange(1, upto + 1), np.array(dead))


BASE = segment("base", 0, 100_000)
DELTA = segment("delta", 100_000, 112_000)
SEALED = segment("sealed", 100_000, 112_000, graph=False)
LATER = segment("later", 101_000, 102_000, graph=False)
AFTER = segment("after", 112_000, 113_000, graph=False)
TAIL = segment("tail", 100_000, 101_000, graph=False)


@pytest.mark.parametrize(
    ("current", "upto", "plan"),
    [
        ([], 5_000, BuildPlan(Action.SEAL, 0, 5_000)),
        ([], 50_000, BuildPlan(Action.BUILD, 0, 50_000)),
        ([BASE], 100_000, BuildPlan(Action.NOTHING, 0, 100_000)),
        ([BASE], 101_000, BuildPlan(Action.SEAL, 100_000, 101_000)),
        ([BASE, TAIL], 101_000, BuildPlan(Action.NOTHING, 0, 101_000)),
        ([BASE, TAIL], 102_000, BuildPlan(Action.SEAL, 100_000, 102_000)),
        ([BASE, TAIL], 112_000, BuildPlan(Action.BUILD, 100_000, 112_000)),
        ([DELTA, BASE], 113_000, BuildPlan(Action.EXTEND, 100_000, 113_000, "delta")),
        ([BASE, DELTA], 120_000, BuildPlan(Action.EXTEND, 0, 120_000, "base")),
        ([BASE, SEALED], 112_000, BuildPlan(Action.BUILD, 100_000, 112_000)),
        ([BASE, TAIL, LATER], 102_000, BuildPlan(Action.SEAL, 100_000, 102_000)),
        ([BASE, DELTA, AFTER], 113_000, BuildPlan(Action.EXTEND, 100_000, 113_000, "delta")),
        ([BASE, DELTA], 112_000, BuildPlan(Action.NOTHING, 0, 112_000)),
        ([DELTA], 113_000, BuildPlan(Action.BUILD, 0, 113_000)),
        ([segment("seal", 0, 50_000, graph=False)], 50_000, BuildPlan(Action.BUILD, 0, 50_000)),
    ],
)
def test_plans(current: list[Current], upto: int, plan: BuildPlan) -> None:
    assert make_plan(current, live(upto), SETTINGS, upto) == plan


def test_a_base_with_many_dead_is_built_anew() -> None:
    upto = 100_000
    assert make_plan([BASE], live(upto, dead=range(19_000)), SETTINGS, upto).action is (
        Action.NOTHING
    )
    assert make_plan([BASE], live(upto, dead=range(21_000)), SETTINGS, upto) == BuildPlan(
        Action.BUILD, 0, upto
    )


def test_a_delta_with_many_dead_is_built_anew() -> None:
    dead = range(100_001, 101_900)
    plan = make_plan([BASE, DELTA], live(114_000, dead=dead), SETTINGS, 114_000)
    assert plan == BuildPlan(Action.EXTEND, 100_000, 114_000, "delta")
    dead = range(100_001, 104_000)
    plan = make_plan([BASE, DELTA], live(115_000, dead=dead), SETTINGS, 115_000)
    assert plan == BuildPlan(Action.BUILD, 100_000, 115_000)


def test_other_settings_need_another_graph() -> None:
    other = replace(SETTINGS, connectivity=SETTINGS.connectivity + 1)
    plan = make_plan([BASE], live(100_000), other, 100_000)
    assert plan == BuildPlan(Action.BUILD, 0, 100_000)
    searched_wider = replace(SETTINGS, expansion_search=SETTINGS.expansion_search + 1)
    plan = make_plan([BASE], live(100_000), searched_wider, 100_000)
    assert plan.action is Action.NOTHING


def test_a_seal_covers_what_no_segment_does() -> None:
    both = [BASE, DELTA]
    assert make_seal_plan([], SETTINGS, 500) == BuildPlan(Action.SEAL, 0, 500)
    assert make_seal_plan(both, SETTINGS, 115_000) == BuildPlan(
        Action.SEAL, 112_000, 115_000, "delta"
    )
    assert make_seal_plan(both, SETTINGS, 112_000).action is Action.NOTHING
    assert make_seal_plan([DELTA], SETTINGS, 115_000) == BuildPlan(Action.SEAL, 0, 115_000, "delta")


def test_a_seal_is_encoded_as_other_segments_of_its_settings_are() -> None:
    for other in (replace(SETTINGS, dtype=Dtype.I8), replace(SETTINGS, graph_dimension=8)):
        assert make_seal_plan([BASE], other, 101_000) == BuildPlan(Action.SEAL, 100_000, 101_000)
    sparse = replace(SETTINGS, connectivity=4)
    assert make_seal_plan([BASE], sparse, 101_000).base == "base"
    assert make_seal_plan([TAIL], SETTINGS, 115_000).base == "", "it is not encoded"
    coded = replace(AFTER.manifest, files={CODES: FileSum(1, 1)})
    assert make_seal_plan([BASE, DELTA, Current("a", coded)], SETTINGS, 120_000).base == "a"
