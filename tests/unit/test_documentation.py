"""What a user can set, call or watch is documented."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from embedder_service.settings import Settings as EmbedderSettings
from embedder_service.worker.settings import WorkerSettings

ROOT = Path(__file__).parents[2]
SETTINGS = (ROOT / "deploy" / "SETTINGS.md").read_text()
PARTS = ("search_service", "embedder_service", "protos/lookalike/serving")


def _metric_names() -> set[str]:
    declared = re.compile(r"[A-Za-z]+\(\s*\"(lookalike_[a-z_]+)\",")
    return {
        name
        for part in PARTS
        for path in (ROOT / part).rglob("*.py")
        for name in declared.findall(path.read_text())
    }


def test_there_are_metrics_to_look_for() -> None:
    assert {"lookalike_rpc_calls", "lookalike_recall"} <= _metric_names()


def test_every_metric_is_documented() -> None:
    assert [name for name in sorted(_metric_names()) if f"`{name}`" not in SETTINGS] == []


@pytest.mark.parametrize("settings", [EmbedderSettings, WorkerSettings])
def test_every_setting_is_documented(settings: type) -> None:
    options = [f"--{one.name.replace('_', '-')}" for one in fields(settings)]

    assert [option for option in options if f"`{option}`" not in SETTINGS] == []


def test_every_option_of_the_search_service_is_documented() -> None:
    source = (ROOT / "search_service" / "settings.py").read_text()
    options = set(re.findall(r"\"(--[a-z-]+)\"", source))

    assert options
    assert [option for option in sorted(options) if f"`{option}`" not in SETTINGS] == []
