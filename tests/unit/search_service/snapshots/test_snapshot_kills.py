"""SIGKILL at each step of each operation: whole or not there, never half."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.search_service.shard.kill_check import ROOT, python_path
from tests.unit.search_service.snapshots.rig import NAME, content, opened

CREATE = ("begun", "linked", "copying", "copied", "summed", "written", "synced", "renamed")
UPLOAD = ("begun", "unpacking", "unpacked", "checked", "written", "synced", "renamed")
STEPS = [
    *(("create", step) for step in CREATE),
    *(("upload", step) for step in UPLOAD),
    *(("restore", step) for step in ("copied", "filled", "named")),
    ("delete", "set aside"),
]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with a collection and one snapshot, to be copied."""
    root = tmp_path_factory.mktemp("prepared")
    with opened(root) as rig:
        rig.snapshots.create(NAME)
    return root


@pytest.mark.parametrize(("what", "step"), STEPS)
def test_a_kill_leaves_nothing_half_made(
    prepared: Path, tmp_path: Path, what: str, step: str
) -> None:
    root = tmp_path / "data"
    shutil.copytree(prepared, root)
    kill_at(root, what, step)
    with opened(root) as rig:
        names = {path.name for path in (root / "snapshots").iterdir()}
        found = rig.snapshots.list()
        assert names == {one.id for one in found}
        assert len(found) == expected_snapshots(what, step)
        restored = [one.name for one in rig.catalog.collections() if one.name != NAME]
        assert restored == (["restored"] if (what, step) == ("restore", "named") else [])
        assert len(list((root / "collections").iterdir())) == 1 + len(restored)
        before = content(rig.shard())
        assert len(before) == 300
        # What is listed is whole, and the killed work can be done again.
        for number, one in enumerate([*found, rig.snapshots.create(NAME)]):
            rig.snapshots.restore(one.id, f"copy-{number}")
            assert content(rig.shard(f"copy-{number}")) == before


def expected_snapshots(what: str, step: str) -> int:
    if what == "delete":
        return 0
    if what == "upload":  # of one that was deleted before
        return 1 if step == "renamed" else 0
    return 2 if step == "renamed" else 1


def kill_at(root: Path, what: str, step: str) -> None:
    paths = os.pathsep.join(map(str, python_path()))
    ended = subprocess.run(
        [sys.executable, "-m", "tests.unit.search_service.snapshots.killed", root, what, step],
        env={**os.environ, "PYTHONPATH": paths},
        cwd=ROOT,
        timeout=120,
        check=False,
    )
    assert ended.returncode == -signal.SIGKILL, "the step never came"
