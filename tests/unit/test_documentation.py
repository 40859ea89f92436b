"""What a user can set, call or watch is documented."""

import re
from pathlib import Path

import pytest

from deploy import settings_page
from lookalike.serving.settings.declared import options_of
from search_service.metrics import ShardCollector

ROOT = Path(__file__).parents[2]
SETTINGS = (ROOT / "deploy" / "SETTINGS.md").read_text(encoding="utf-8")
PARTS = ("search_service", "embedder_service", "protos/lookalike/serving")


def _metric_names() -> set[str]:
    declared = re.compile(r"[A-Za-z]+\(\s*\"(lookalike_[a-z_]+)\",")
    collected = {family.name for family in ShardCollector(list).collect()}
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
