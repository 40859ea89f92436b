from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from search_service.segments.building.assembly import Step
from search_service.segments.building.planning import Action, BuildPlan
from search_service.segments.current import CURRENT, write_current
from search_service.segments.errors import BuildFailed
from search_service.segments.source import DiskSegments
from tests.unit.search_service.segments.support import (
    SETTINGS,
    SmallStore,
    assemble,
    live_ordinals_of,
    self_misses,
    unit_vectors,
)

ENOUGH_FOR_A_GRAPH = 10_000
WAIT_S = 60.0
# The cheapest graph: these tests are about processes and files.
CHEAP = replace(SETTINGS, connectivity=8, expansion_add=16, graph_dimension=8)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SmallStore]:
    small = SmallStore(tmp_path)
    yield small
    small.close()


@pytest.fixture
def source(store: SmallStore) -> Iterator[DiskSegments]:
    opened = store.source()
    yield opened
    opened.close()


def build(store: SmallStore, source: DiskSegments) -> list[tuple[bool, int, int]]:
    """Build; return (has graph, after, upto) of the set in use, which equals the store."""
    result = source.build(store.job(settings=CHEAP)).result(WAIT_S)
    segments = [source.open(path) for path in result.paths]
    assert live_ordinals_of(segments, store) == sorted(store.vectors)
    shape = [
        (one.has_graph, one.manifest.after_ordinal, one.manifest.upto_ordinal) for one in segments
    ]
    for one in segments:
        one.close()
    return sorted(shape, key=lambda entry: entry[1])


def test_a_collection_grows_from_a_scan_to_base_and_delta(
    store: SmallStore, source: DiskSegments
) -> None:
    vectors = unit_vectors(34_000)
    store.add(vectors[:3_000])
    assert build(store, source) == [(False, 0, 3_000)]
    store.add(vectors[3_000:10_500])
    assert build(store, source) == [(True, 0, 10_500)]
    store.add(vectors[10_500:11_000])
    assert build(store, source) == [(True, 0, 10_500), (False, 10_500, 11_000)]
    assert build(store, source) == [(True, 0, 10_500), (False, 10_500, 11_000)]
    store.add(vectors[11_000:21_000])
    assert build(store, source) == [(True, 0, 21_000)]
    store.delete(range(1, 9_000))
    assert build(store, source) == [(True, 0, 21_000)]
    segments, problems = source.open_current()
    assert problems == []
    assert len(segments[0].rows) == 12_001, "the dead were to be left out"
    assert len(self_misses(segments[0])) == 0
    names = {path.name for path in store.segments_path.iterdir()}
    assert names == {CURRENT, segments[0].path.name}
    segments[0].close()


def test_a_seal_goes_on_beside_a_build(store: SmallStore) -> None:
    store.add(unit_vectors(11_000))
    sealing: list[object] = []

    def seal_once(_: int, step: str) -> None:
        if step == Step.AUDIT and not sealing:
            sealing.append(source.build(replace(job, upto_ordinal=12_000, seal_only=True)))
            sealing[0].result(WAIT_S)  # type: ignore[attr-defined] # a Future[BuildResult]

    source = DiskSegments(
        store.segments_path,
        uid="collection-1",
        dimension=48,
        fingerprint="model-1",
        nice=0,
        on_step=seal_once,
    )
    job = store.job(settings=CHEAP)
    source.build(replace(job, seal_only=True)).result(WAIT_S)
    store.add(unit_vectors(1_000, seed=1))
    result = source.build(job).result(WAIT_S)
    segments = [source.open(path) for path in result.paths]
    assert sorted(one.manifest.upto_ordinal for one in segments) == [11_000, 12_000]
    assert sorted(one.has_graph for one in segments) == [False, True]
    assert live_ordinals_of(segments, store) == list(range(1, 12_001))
    for one in segments:
        one.close()
    source.close()


def test_one_build_at_a_time(store: SmallStore, source: DiskSegments) -> None:
    store.add(unit_vectors(500))
    first = source.build(store.job())
    with pytest.raises(BuildFailed, match="already"):
        source.build(store.job())
    first.result(WAIT_S)


def test_a_failing_build_says_why(store: SmallStore, source: DiskSegments) -> None:
    job = replace(store.job(), store_path=store.path.with_name("absent.db"))
    with pytest.raises(BuildFailed, match="ended with status 1"):
        source.build(job).result(WAIT_S)


def test_closing_ends_the_build(store: SmallStore) -> None:
    store.add(unit_vectors(ENOUGH_FOR_A_GRAPH))
    pids: list[int] = []
    source = DiskSegments(
        store.segments_path,
        uid="collection-1",
        dimension=48,
        fingerprint="model-1",
        nice=0,
        on_step=lambda pid, _: pids.append(pid),
    )
    future = source.build(store.job(settings=CHEAP))
    while not pids:
        time.sleep(0.01)
    source.close()
    with pytest.raises(BuildFailed):
        future.result(0)
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)
    with pytest.raises(BuildFailed, match="closed"):
        source.build(store.job())


@pytest.mark.parametrize("step", list(Step))
def test_a_build_killed_at_any_step_changes_nothing(store: SmallStore, step: Step) -> None:
    vectors = unit_vectors(ENOUGH_FOR_A_GRAPH + 500)
    store.add(vectors)
    write_current(store.segments_path, [assemble(store, BuildPlan(Action.SEAL, 0, 500)).name])

    def kill(pid: int, at: str) -> None:
        if at == step:
            with contextlib.suppress(ProcessLookupError):  # it may have ended since
                os.kill(pid, signal.SIGKILL)

    source = DiskSegments(
        store.segments_path,
        uid="collection-1",
        dimension=48,
        fingerprint="model-1",
        nice=0,
        on_step=kill,
    )
    future = source.build(store.job(settings=CHEAP))
    with contextlib.suppress(BuildFailed):
        future.result(WAIT_S)
    failed = future.exception() is not None
    source.close()
    again = store.source()
    segments, problems = again.open_current()
    assert problems == []
    covered = 500 if failed else ENOUGH_FOR_A_GRAPH + 500
    assert live_ordinals_of(segments, store) == list(range(1, covered + 1))
    names = {path.name for path in store.segments_path.iterdir()}
    assert names == {CURRENT, *(one.path.name for one in segments)}
    for one in segments:
        one.close()
    again.close()


def test_no_child_outlives_its_parent(store: SmallStore) -> None:
    store.add(unit_vectors(ENOUGH_FOR_A_GRAPH))
    script = (
        "import sys, time; from pathlib import Path;"
        "from search_service.segments.source import DiskSegments;"
        "from tests.unit.search_service.segments.support import *;"
        "from tests.unit.search_service.segments.test_builder import *;"
        "store = SmallStore(Path(sys.argv[1])); store.last_ordinal = 10000;"
        "source = DiskSegments(store.segments_path, uid='collection-1', dimension=48,"
        " fingerprint='model-1', on_step=lambda pid, _: print(pid, flush=True));"
        "source.build(store.job(settings=CHEAP)); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(store.path.parent)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[4],
        env={"PYTHONPATH": ":".join(sys.path)},
    ) as parent:
        assert parent.stdout is not None
        child_pid = int(parent.stdout.readline())
        parent.kill()
    deadline_s = time.monotonic() + WAIT_S
    while _is_running(child_pid):
        assert time.monotonic() < deadline_s, "the child outlived its parent"
        time.sleep(0.02)


def test_damaged_segments_are_left_out_and_replaced(
    store: SmallStore, source: DiskSegments
) -> None:
    store.add(unit_vectors(500))
    result = source.build(store.job()).result(WAIT_S)
    rows = result.paths[0] / "rows-00000.f32"
    rows.write_bytes(rows.read_bytes()[:-4])
    segments, problems = source.open_current()
    assert segments == []
    assert len(problems) == 1
    assert build(store, source) == [(False, 0, 500)]


def test_a_damaged_list_is_made_anew(store: SmallStore, source: DiskSegments) -> None:
    store.add(unit_vectors(500))
    source.build(store.job()).result(WAIT_S)
    path = store.segments_path / CURRENT
    for data in (b"", b"{", b"[]", json.dumps({"format": 1, "segments": ["gone"]}).encode()):
        path.write_bytes(data)
        segments, problems = source.open_current()
        assert segments == []
        assert len(problems) == 1
        assert build(store, source) == [(False, 0, 500)]


def test_discarded_segments_are_replaced(store: SmallStore, source: DiskSegments) -> None:
    store.add(unit_vectors(500))
    old = source.build(store.job()).result(WAIT_S).paths[0]
    source.discard(old)
    assert build(store, source) == [(False, 0, 500)]
    source.remove(old)
    assert not old.exists()


def _is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
