"""What a user can set, call or watch is documented."""

import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from lookalike_client.cli.main import cli

ROOT = Path(__file__).parents[2]
SETTINGS = (ROOT / "deploy" / "SETTINGS.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
PARTS = ("search_service", "embedder_service", "protos/lookalike/serving")


def _metric_names() -> set[str]:
    declared = re.compile(r"[A-Za-z]+\(\s*\"(lookalike_[a-z_]+)\",")
    return {
        name
        for part in PARTS
        for path in (ROOT / part).rglob("*.py")
        for name in declared.findall(path.read_text(encoding="utf-8"))
    }


def test_there_are_metrics_to_look_for() -> None:
    assert {"lookalike_rpc_calls", "lookalike_recall"} <= _metric_names()


def test_every_metric_is_documented() -> None:
    assert [name for name in sorted(_metric_names()) if f"`{name}`" not in SETTINGS] == []


@pytest.mark.parametrize(
    "module", ["search_service", "embedder_service", "embedder_service.worker"]
)
def test_every_option_of_a_process_is_documented(module: str) -> None:
    plain = {"COLUMNS": "400", "NO_COLOR": "1"}  # one option a line, whole
    shown = subprocess.run(
        [sys.executable, "-m", module, "--help"],
        cwd=ROOT,
        env=os.environ | plain,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    options = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*[a-z]", shown)) - {"--help"}

    assert len(options) > 10
    assert [option for option in sorted(options) if f"`{option}`" not in SETTINGS] == []


def test_every_command_is_documented() -> None:
    assert isinstance(cli, click.Group)
    missing = [name for name in sorted(cli.commands) if f"`lookalike {name}" not in README]

    assert missing == []
