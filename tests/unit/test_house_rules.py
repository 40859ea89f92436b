"""Rules about the source that no linter knows."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MOST_LINES = 300
GENERATED = "protos/lookalike/v1/"


def _tracked(*suffixes: str) -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    names = [name for name in listed.stdout.splitlines() if name.endswith(suffixes)]
    return [ROOT / name for name in names if GENERATED not in name and (ROOT / name).is_file()]


def test_no_file_is_longer_than_a_reader_can_hold() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for path in _tracked(".py", ".mjs")
        if (lines := len(path.read_text().splitlines())) > MOST_LINES
    }

    assert long == {}


def test_only_settings_read_the_environment() -> None:
    reads = re.compile(r"os\.environ|os\.getenv|environ\[|environ\.get")
    allowed = {"settings.py"}
    found = [
        str(path.relative_to(ROOT))
        for path in _tracked(".py")
        if path.is_relative_to(ROOT / "search_service")
        or path.is_relative_to(ROOT / "embedder_service")
        if path.name not in allowed and reads.search(path.read_text())
    ]

    assert found == []


def test_there_is_no_drawer_for_odds_and_ends() -> None:
    names = {path.stem for path in _tracked(".py")} | {path.parent.name for path in _tracked(".py")}

    assert names.isdisjoint({"utils", "util", "common", "helpers", "misc"})


def test_no_binary_is_committed() -> None:
    suffixes = (".pth", ".npy", ".onnx", ".safetensors", ".jpg", ".jpeg", ".usearch", ".so")

    assert _tracked(*suffixes) == []
