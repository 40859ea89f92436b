"""Rules about the source that no linter knows."""

import re
from pathlib import Path

from tests.sources import ROOT, source_files

MOST_LINES = 300
GENERATED = "protos/lookalike/v1/"


def _hand_written(*suffixes: str) -> list[Path]:
    files = source_files(*suffixes)
    return [path for path in files if GENERATED not in path.relative_to(ROOT).as_posix()]


def test_the_source_is_found() -> None:
    names = {str(path.relative_to(ROOT)) for path in _hand_written(".py")}

    assert {"search_service/__main__.py", "tests/unit/test_house_rules.py"} <= names
    assert not any(name.startswith((".venv", GENERATED)) for name in names)


def test_no_file_is_longer_than_a_reader_can_hold() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for path in _hand_written(".py", ".mjs")
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > MOST_LINES
    }

    assert long == {}


def test_only_settings_read_the_environment() -> None:
    reads = re.compile(r"os\.environ|os\.getenv|environ\[|environ\.get")
    allowed = {"settings.py"}
    found = [
        str(path.relative_to(ROOT))
        for path in _hand_written(".py")
        if path.is_relative_to(ROOT / "search_service")
        or path.is_relative_to(ROOT / "embedder_service")
        if path.name not in allowed and reads.search(path.read_text(encoding="utf-8"))
    ]

    assert found == []


def test_there_is_no_drawer_for_odds_and_ends() -> None:
    names = {path.stem for path in _hand_written(".py")} | {
        path.parent.name for path in _hand_written(".py")
    }

    assert names.isdisjoint({"utils", "util", "common", "helpers", "misc"})


def test_no_binary_is_committed() -> None:
    suffixes = (".pth", ".npy", ".onnx", ".safetensors", ".jpg", ".jpeg", ".usearch", ".so")

    assert _hand_written(*suffixes) == []
