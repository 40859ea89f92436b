"""What a user can set, call or watch is documented; what ARCHITECTURE.md names is there."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

from deploy import settings_page
from lookalike.serving.settings.declared import options_of
from search_service.metrics import ShardCollector
from tests.sources import ROOT, source_files

SETTINGS = (ROOT / "deploy" / "SETTINGS.md").read_text(encoding="utf-8")
ARCHITECTURE = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
PARTS = ("search_service", "embedder_service", "protos/lookalike/serving")

_FENCED = re.compile(r"^```[a-z]*\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_CODE = re.compile(r"`([^`\n]+)`")
PROSE = _FENCED.sub("", ARCHITECTURE)
# A folder, or a file in one: what else stands between backticks has no slash.
_PATH = r"[\w.-]+(?:/[\w.-]+)+/?"
_MODULE = r"[\w.-]+(?:/[\w.-]+)*\.py"
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def _metric_names() -> set[str]:
    declared = re.compile(r"[A-Za-z]+\(\s*\"(lookalike_[a-z_]+)\",")
    collected = {family.name for family in ShardCollector(list, list).collect()}
    return collected | {
        name
        for part in PARTS
        for path in (ROOT / part).rglob("*.py")
        for name in declared.findall(path.read_text(encoding="utf-8"))
    }


def test_there_are_metrics_to_look_for() -> None:
    assert {"lookalike_rpc_calls", "lookalike_recall", "lookalike_items"} <= _metric_names()


def test_every_metric_is_documented() -> None:
    assert [name for name in sorted(_metric_names()) if f"`{name}`" not in SETTINGS] == []


def test_no_metric_is_documented_that_is_not_there() -> None:
    metrics = SETTINGS[SETTINGS.index("## Metrics") :]

    assert set(re.findall(r"`(lookalike_[a-z_]+)`", metrics)) == _metric_names()


def test_every_option_of_every_process_is_documented_as_it_is_declared() -> None:
    assert settings_page.updated(SETTINGS) == SETTINGS
    for process, settings in settings_page.PROCESSES:
        begin = SETTINGS.index(f"<!-- begin {process.package} -->")
        table = SETTINGS[begin : SETTINGS.index(f"<!-- end {process.package} -->")]
        options = options_of(settings)

        assert len(options) > 20
        assert [one.flag for one in options if f"| `{one.flag}` |" not in table] == []


def test_a_stale_page_is_noticed() -> None:
    stale = SETTINGS.replace("| `--grace-s` |", "| `--grace` |", 1)

    assert stale != SETTINGS
    assert settings_page.updated(stale) == SETTINGS
    with pytest.raises(ValueError, match="begin search_service"):
        settings_page.updated(SETTINGS.replace("<!-- begin search_service -->", ""))


def _of_kind(form: str) -> list[str]:
    return [code for code in _CODE.findall(PROSE) if re.fullmatch(form, code)]


def _names(path: Path) -> set[str]:
    """What a module defines: functions, classes, their methods, constants."""
    found: set[str] = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            below = (one for one in node.body if isinstance(one, _FUNCTIONS))
            found |= {f"{node.name}.{one.name}" for one in below}
        if isinstance(node, ast.Assign):
            found |= {one.id for one in node.targets if isinstance(one, ast.Name)}
    return found


def _drawn_folders() -> set[str]:
    """The folders of the tree in ARCHITECTURE.md, by its indentation."""
    (tree,) = (block for block in _FENCED.findall(ARCHITECTURE) if block.startswith("protos/"))
    found: set[str] = set()
    above: list[str] = []
    for line in tree.splitlines():
        name, told = re.fullmatch(r" *([\w.-]+)/ +(\S.*)", line).groups()  # type: ignore[union-attr]  # a line of another form fails the test
        level = (len(line) - len(line.lstrip())) // 2
        above[level:] = [name]
        assert told, line
        found.add("/".join(above))
    return found


def test_every_path_that_the_architecture_names_is_there() -> None:
    paths = [*_of_kind(_PATH), *_of_kind(rf"{_MODULE}:.*")]

    assert len(paths) > 100
    assert {one for one in paths if not (ROOT / one.split(":")[0]).exists()} == set()


def test_every_function_of_the_walks_is_there() -> None:
    walked = _of_kind(rf"{_MODULE}:.*")
    defined = {one.split(":")[0]: _names(ROOT / one.split(":")[0]) for one in walked}

    assert len(walked) > 80
    assert [one for one in walked if one.split(":")[1] not in defined[one.split(":")[0]]] == []


def test_a_function_that_is_gone_would_be_noticed() -> None:
    names = _names(ROOT / "search_service" / "shard" / "shard.py")

    assert {"Shard", "Shard.query", "STORE", "BALLAST"} <= names
    assert names.isdisjoint({"query", "Shard.search", "save"})


def test_the_tree_of_the_architecture_has_every_folder_of_the_source() -> None:
    holding = {
        folder.relative_to(ROOT)
        for path in source_files(".py", ".md", ".proto", ".json")
        for folder in path.parents
        if folder.is_relative_to(ROOT) and folder != ROOT
    }
    visible = [one for one in holding if not one.parts[0].startswith(".")]
    shown = {one.as_posix() for one in visible if one.parts[0] != "tests"} | {"tests"}

    assert len(shown) > 40
    assert _drawn_folders() == shown


def test_the_architecture_shows_the_layers_that_the_linter_holds() -> None:
    read = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = read["tool"]["importlinter"]["contracts"]
    layers = ["\n".join(one["layers"]) for one in contracts if one["type"] == "layers"]

    assert len(layers) == 5
    assert [one for one in layers if one not in map(str.strip, _FENCED.findall(ARCHITECTURE))] == []
