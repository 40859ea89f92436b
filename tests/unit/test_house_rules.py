"""Rules about the source that no linter knows."""

import ast
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


def test_files_are_forced_to_the_device_in_one_place() -> None:
    syncs = re.compile(r"\bf(data)?sync\(")
    found = [
        path.relative_to(ROOT).as_posix()
        for path in _hand_written(".py")
        if path.is_relative_to(ROOT / "search_service")
        and syncs.search(path.read_text(encoding="utf-8"))
    ]

    assert found == ["search_service/durable_files.py"]


def test_there_is_no_drawer_for_odds_and_ends() -> None:
    names = {path.stem for path in _hand_written(".py")} | {
        path.parent.name for path in _hand_written(".py")
    }

    assert names.isdisjoint({"utils", "util", "common", "helpers", "misc"})


def test_no_private_name_of_a_module_is_left_unused() -> None:
    """`make lint` looks for dead public names; its tool leaves out private constants."""
    unused = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in _hand_written(".py")
        for name in sorted(_unused_private_names(path.read_text(encoding="utf-8")))
    ]

    assert _unused_private_names("_ONE = 1\n_TWO: int = 2\ndef _three(): ...\nprint(_ONE)") == {
        "_TWO",
        "_three",
    }
    assert unused == []


def _unused_private_names(source: str) -> set[str]:
    tree = ast.parse(source)
    defined: set[str] = set()
    for node in tree.body:
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                defined.add(name)
            case ast.ClassDef(name=name) | ast.AnnAssign(target=ast.Name(id=name)):
                defined.add(name)
            case ast.Assign(targets=targets):
                names = (one for target in targets for one in ast.walk(target))
                defined |= {one.id for one in names if isinstance(one, ast.Name)}
    private = {name for name in defined if name.startswith("_") and not name.startswith("__")}
    return {name for name in private if len(re.findall(rf"\b{name}\b", source)) < 2}


def test_no_binary_is_committed() -> None:
    suffixes = (".pth", ".npy", ".onnx", ".safetensors", ".jpg", ".jpeg", ".usearch", ".so")

    assert _hand_written(*suffixes) == []
