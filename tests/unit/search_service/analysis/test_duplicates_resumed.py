"""A search for duplicates that ended early goes on from where it was."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from search_service.analysis.duplicates.find import find_duplicates
from search_service.analysis.jobs import AnalysisJob, Kind, Progress
from search_service.domain.mutations import Upsert
from tests.unit.search_service.snapshots.rig import DIMENSION, UID, VECTORS, Rig, opened

_FINDING = "finding neighbours"


@contextmanager
def filled(root: Path) -> Iterator[Rig]:
    """Open a collection of vectors without pictures."""
    with opened(root) as rig:
        store(rig, 0, len(VECTORS))
        yield rig


def store(rig: Rig, first: int, count: int) -> None:
    upserts = [
        Upsert(f"item-{number}", VECTORS[number % len(VECTORS)], {}, facts=b"", thumbnail=b"")
        for number in range(first, first + count)
    ]
    assert all(each.error is None for each in rig.shard().submit(upserts).result(60))


class Killed(BaseException):
    """Ends a run wherever it is."""


def job_of(root: Path, rig: Rig, threshold: float = 0.9) -> AnalysisJob:
    work = root / "work"
    work.mkdir(exist_ok=True)
    directory = root / "collections" / UID
    return AnalysisJob(
        kind=Kind.DUPLICATES,
        store_path=directory / "store.db",
        segments_path=directory / "segments",
        work_path=work,
        uid=UID,
        dimension=DIMENSION,
        fingerprint=rig.shard().spec.model_fingerprint,
        threads=1,
        chosen=None,
        kept_path=root / "resumable",
        options={
            "threshold": threshold,
            "kinds": [1, 2, 3, 4],
            "since_version": 0,
            "decisions": [],
            "time_path": None,
            "burst_s": 3.0,
            "turned": False,
        },
    )


def answer(job: AnalysisJob) -> list[Mapping[str, Any]]:
    return list(find_duplicates(job, lambda progress: None))


def kill(job: AnalysisJob) -> None:
    """Run until neighbours were found, and no further."""

    def report(progress: Progress) -> None:
        if progress.stage == _FINDING:
            raise Killed

    with pytest.raises(Killed):
        list(find_duplicates(job, report))


def test_a_run_that_was_killed_is_gone_on_with(tmp_path: Path) -> None:
    with filled(tmp_path) as rig:
        job = job_of(tmp_path, rig)
        whole = answer(job)
        assert whole[-1]["summary"]["groups"] > 0
        kill(job)
        (kept,) = job.kept_path.iterdir()
        size = kept.stat().st_size
        assert size > 0
        kill(job)  # what was kept is read, and nothing is kept twice
        assert kept.stat().st_size == size
        assert answer(job) == whole
        assert list(job.kept_path.iterdir()) == []


def test_another_question_or_state_begins_anew(tmp_path: Path) -> None:
    with filled(tmp_path) as rig:
        kill(job_of(tmp_path, rig))
        kill(job_of(tmp_path, rig, threshold=0.8))
        assert len(list((tmp_path / "resumable").iterdir())) == 2
        before = set((tmp_path / "resumable").iterdir())
        store(rig, 1_000, 1)
        job = job_of(tmp_path, rig)
        kill(job)
        assert set((tmp_path / "resumable").iterdir()) - before
        assert answer(job)[-1]["summary"]["items"] == 301
