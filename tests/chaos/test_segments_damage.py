"""Five hundred damaged segment files: none crashes the process, none is used."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

DAMAGED_FILES = 500


@pytest.mark.chaos
@pytest.mark.timeout(900)
def test_five_hundred_damaged_files_are_all_noticed(tmp_path: Path) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.unit.search_service.segments.damage_run",
            tmp_path,
            str(DAMAGED_FILES),
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    assert done.returncode == 0, done.stderr
    outcome = json.loads(done.stdout)
    assert outcome["damaged"] == DAMAGED_FILES
    assert outcome["passed"] == []
