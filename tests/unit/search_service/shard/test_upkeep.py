"""Seals and builds that end in any order lose nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import pytest

from lookalike.wire.vectors import F32
from search_service.domain.queries import QueryRequest
from search_service.segments.api import BuildJob, BuildResult
from search_service.segments.source import DiskSegments
from search_service.shard.opening import SEGMENTS
from search_service.shard.shard import STORE, Shard
from search_service.shard.upkeep import LOOK_EVERY_S
from search_service.store import schema
from tests.unit.search_service.shard.kit import (
    SMALL,
    STILL,
    build,
    create,
    fill,
    make_spec,
    never,
    random_units,
    reopen,
    wait_until,
)

COUNT, DIMENSION, HEAD_LIMIT = 16_000, 16, 1_000


@pytest.fixture(scope="module")
def vectors() -> F32:
    """float32 [23,500, DIMENSION], unit L2."""
    return random_units(23_500, DIMENSION, seed=4)


class SealsEndLast(DiskSegments):
    """A source whose seal beside a build is published after the build.

    The build is held until the seal has been asked for.
    """

    def __init__(self, directory: Path, *, uid: str) -> None:
        super().__init__(directory, uid=uid, dimension=DIMENSION, fingerprint="model-1")
        self.seals_beside = 0
        self._build: Future[BuildResult] | None = None
        self._held: Future[BuildResult] | None = None
        self._asked = threading.Event()

    def build(self, job: BuildJob) -> Future[BuildResult]:
        if not job.seal_only:
            self._build = super().build(job)
            self._held = _when(self._asked, self._build)
            return self._held
        if self._build is None or self._held is None or self._held.done():
            return super().build(job)
        self.seals_beside += 1
        self._asked.set()
        return _after(self._build, lambda: DiskSegments.build(self, job))


def _when(asked: threading.Event, build: Future[BuildResult]) -> Future[BuildResult]:
    """Give the outcome of `build`, once `asked` is set."""
    held: Future[BuildResult] = Future()

    def hand_on() -> None:
        asked.wait(60)
        try:
            held.set_result(build.result())
        except BaseException as error:  # noqa: BLE001 - handed on whole
            held.set_exception(error)

    threading.Thread(target=hand_on, daemon=True).start()
    return held


def _after(
    first: Future[BuildResult], start: Callable[[], Future[BuildResult]]
) -> Future[BuildResult]:
    """Start when `first` has ended; its outcome becomes that of the returned future."""
    chained: Future[BuildResult] = Future()

    def run() -> None:
        first.exception()
        try:
            chained.set_result(start().result())
        except BaseException as error:  # noqa: BLE001 - handed on whole
            chained.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return chained


def test_what_was_sealed_beside_a_build_stays_when_the_build_is_adopted(
    tmp_path: Path, vectors: F32
) -> None:
    spec = make_spec(DIMENSION)
    schema.create(tmp_path / STORE, spec, "").close()
    source = SealsEndLast(tmp_path / SEGMENTS, uid=spec.uid)
    database = schema.open_writer(tmp_path / STORE, "")
    options = replace(SMALL, head_limit=HEAD_LIMIT)
    shard = Shard(tmp_path, database, source, options, never)
    first = 11_000  # enough for a graph, which takes a while to build
    fill(shard, vectors[:first])
    wait_until(lambda: shard.stats().building)
    fill(shard, vectors[first:COUNT], first)
    wait_until(lambda: not shard.stats().building and shard.stats().head_vectors <= HEAD_LIMIT)

    assert source.seals_beside > 0
    for start in range(0, COUNT, 500):
        request = QueryRequest(vectors[start : start + 100], limit=1, exact=True)
        found = [outcome.hits[0].id for outcome in shard.query(request).result(60)]
        assert found == [f"item-{row}" for row in range(start, start + 100)]
    shard.close()


def test_the_upkeep_goes_on_after_an_unforeseen_failure(tmp_path: Path, vectors: F32) -> None:
    spec = make_spec(DIMENSION)
    schema.create(tmp_path / STORE, spec, "").close()
    source = FailsOnce(
        tmp_path / SEGMENTS, uid=spec.uid, dimension=DIMENSION, fingerprint="model-1"
    )
    database = schema.open_writer(tmp_path / STORE, "")
    shard = Shard(tmp_path, database, source, replace(SMALL, head_limit=HEAD_LIMIT), never)
    fill(shard, vectors[: 2 * HEAD_LIMIT])

    wait_until(lambda: shard.stats().builds > 0 and shard.stats().head_vectors == 0)

    assert source.failed
    shard.close()


class FailsOnce(DiskSegments):
    """A source whose first build fails in a way that nothing expects."""

    failed = False

    def build(self, job: BuildJob) -> Future[BuildResult]:
        if not self.failed:
            self.failed = True
            raise ZeroDivisionError("unforeseen")
        return super().build(job)


def test_what_was_sealed_beside_a_build_gets_a_graph_when_nothing_else_comes(
    tmp_path: Path, vectors: F32
) -> None:
    spec = make_spec(DIMENSION)
    schema.create(tmp_path / STORE, spec, "").close()
    source = SealsEndLast(tmp_path / SEGMENTS, uid=spec.uid)
    database = schema.open_writer(tmp_path / STORE, "")
    options = replace(SMALL, head_limit=6_000, idle_build_s=0.5)
    shard = Shard(tmp_path, database, source, options, never)
    fill(shard, vectors[:11_000])
    wait_until(lambda: shard.stats().building)
    fill(shard, vectors[11_000:], 11_000)  # sealed at twice the limit: less than calls for a build

    wait_until(lambda: shard.stats().unindexed_vectors < 1_000)

    assert source.seals_beside == 1
    shard.close()


class SealsEndFirst(DiskSegments):
    """A source whose build inserts nothing before a seal beside it was published."""

    def __init__(self, directory: Path, *, uid: str) -> None:
        super().__init__(
            directory, uid=uid, dimension=DIMENSION, fingerprint="model-1", on_step=self._on_step
        )
        self.held = False
        self.failures: list[BaseException] = []
        self._building = False
        self.sealed_beside = threading.Event()

    def build(self, job: BuildJob) -> Future[BuildResult]:
        future = super().build(job)
        beside = self.held and self._building and job.seal_only
        self._building = self._building or (self.held and not job.seal_only)
        future.add_done_callback(lambda done: self._ended(done, beside=beside))
        return future

    def _ended(self, done: Future[BuildResult], *, beside: bool) -> None:
        if (error := done.exception()) is not None:
            self.failures.append(error)
        if beside:
            self.sealed_beside.set()

    def _on_step(self, _pid: int, step: str) -> None:
        if self.held and step == "insert":
            self.sealed_beside.wait(60)


def test_a_seal_beside_a_build_of_a_head_that_was_not_full_is_not_in_its_way(
    tmp_path: Path,
) -> None:
    spec = make_spec(DIMENSION)
    schema.create(tmp_path / STORE, spec, "").close()
    source = SealsEndFirst(tmp_path / SEGMENTS, uid=spec.uid)
    database = schema.open_writer(tmp_path / STORE, "")
    first, limit, count = 10_200, 10_400, 32_000  # enough for a graph, and yet below the limit
    vectors = random_units(count, DIMENSION, seed=5)
    shard = Shard(tmp_path, database, source, replace(SMALL, head_limit=limit), never)
    fill(shard, vectors[:first])
    source.held = True
    shard.build_now()
    wait_until(lambda: shard.stats().building)
    fill(shard, vectors[first:], first)

    wait_until(lambda: shard.stats().builds > 0 and not shard.stats().building)

    assert source.sealed_beside.is_set()
    assert not source.failures
    shard.close()


@pytest.mark.parametrize(("unindexed_limit", "most"), [(400_000, 2_000), (3_000, 1_500)])
def test_a_head_in_the_compact_form_may_grow_larger_but_writes_are_not_refused_for_it(
    tmp_path: Path, vectors: F32, unindexed_limit: int, most: int
) -> None:
    options = replace(STILL, head_limit=HEAD_LIMIT, unindexed_limit=unindexed_limit)
    shard = create(tmp_path, make_spec(DIMENSION, graph_dimension=8), STILL)
    fill(shard, vectors[:10_500])
    build(shard)
    shard.close()
    shard = reopen(tmp_path, options)
    fill(shard, vectors[10_500 : 10_500 + most], 10_500)
    time.sleep(2 * LOOK_EVERY_S)
    assert (shard.stats().builds, shard.stats().head_vectors) == (0, most)

    fill(shard, vectors[15_000:15_100], 15_000)

    wait_until(lambda: shard.stats().builds > 0 and shard.stats().head_vectors == 0)
    shard.close()
