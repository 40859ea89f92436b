from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[4]
WARM = "from search_service.compiled.warm import warm_up; warm_up()"
# No import sets where Numba keeps what it compiles, or loads C's library.
IMPORT = """
import ctypes, numba
libraries = []
load = ctypes.CDLL.__init__
def note(self, name, *rest, **more):
    libraries.append(name)
    load(self, name, *rest, **more)
ctypes.CDLL.__init__ = note
set_before = numba.config.CACHE_DIR
import search_service.compiled.warm
import search_service.segments.building.child
import search_service.segments.segment
assert numba.config.CACHE_DIR == set_before, numba.config.CACHE_DIR
assert None not in libraries, libraries
"""
# Every plan, then how many forms of each loop there are.
PLANS = """
import sys
from pathlib import Path
from tests.unit.search_service.compiled.every_plan import forms_after_every_plan
print(forms_after_every_plan(Path(sys.argv[1])))
"""


def run(code: str, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": ":".join([str(ROOT), *sys.path])} | environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )


def test_imports_set_nothing_and_load_no_library(tmp_path: Path) -> None:
    for environ in ({}, {"NUMBA_CACHE_DIR": str(tmp_path)}):
        done = run(IMPORT, **environ)
        assert done.returncode == 0, done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.chaos  # compiles every loop twice
def test_loops_are_kept_and_damaged_ones_are_made_again(tmp_path: Path) -> None:
    assert run(WARM, NUMBA_CACHE_DIR=str(tmp_path)).returncode == 0
    kept = sorted(tmp_path.rglob("*.nbc"))
    assert len(kept) >= 5
    for path in kept:
        path.write_bytes(path.read_bytes()[:100])
    others = tmp_path / "of-another-program"
    others.write_text("kept by somebody else")
    done = run(WARM, NUMBA_CACHE_DIR=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "could not be read" in done.stderr
    assert others.exists()


def test_queries_have_nothing_compiled_that_is_not_warmed_up(tmp_path: Path) -> None:
    done = run(PLANS, str(tmp_path / "shard"))
    assert done.returncode == 0, done.stderr
    loops = ("compare_some", "nearest_exactly", "products_each", "products_of_pairs", "walk")
    assert done.stdout.strip() == str(dict.fromkeys(loops, 1))
