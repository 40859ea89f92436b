"""Photographs in a folder, and a state of each test's own."""

import shutil
from pathlib import Path

import pytest

from tests.e2e.sync.kit import NAMES


@pytest.fixture
def folder(tmp_path: Path, photos: Path) -> Path:
    """Six photographs, one of them in a folder of its own; past the time files settle in."""
    target = tmp_path / "photos"
    (target / "pets").mkdir(parents=True)
    for name in NAMES:
        shutil.copy(photos / name, target / ("pets" if name == "chelsea.png" else ".") / name)
    return target


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state of this test's own."""
    path = tmp_path / "state" / "sync.sqlite"
    monkeypatch.setenv("LOOKALIKE_SYNC_STATE", str(path))
    return path
