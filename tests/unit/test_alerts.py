"""Rules and dashboard ask for metrics that are there, and each alert says what to do."""

from __future__ import annotations

import json
import re

import pytest

from tests.sources import ROOT

RULES = (ROOT / "deploy" / "observability" / "rules.yaml").read_text(encoding="utf-8")
# Where the chart adds rules of its own.
CHART_RULES = (ROOT / "deploy" / "helm" / "lookalike" / "templates" / "monitoring.yaml").read_text(
    encoding="utf-8"
)
DASHBOARD = json.loads((ROOT / "deploy" / "observability" / "dashboard.json").read_text("utf-8"))
METRICS = (ROOT / "docs" / "operation" / "metrics.md").read_text(encoding="utf-8")
RUNBOOK = (ROOT / "docs" / "operation" / "alerts.md").read_text(encoding="utf-8")

KINDS = dict(re.findall(r"^\| `(lookalike_\w+)` \| (\w+) \|", METRICS, re.MULTILINE))
ENDINGS = {"counter": ["_total"], "gauge": [""], "histogram": ["_bucket", "_sum", "_count"]}
SERIES = {name + ending for name, kind in KINDS.items() for ending in ENDINGS[kind]}
ALERTS = re.findall(r"alert: (\w+)", RULES + CHART_RULES)


def _asked(text: str) -> set[str]:
    return set(re.findall(r"\blookalike_\w+", text))


def _queries() -> list[str]:
    return [target["expr"] for panel in DASHBOARD["panels"] for target in panel.get("targets", ())]


def test_rules_ask_for_series_that_are_there() -> None:
    assert len(_asked(RULES)) > 10
    assert _asked(RULES) - SERIES == set()


def test_the_dashboard_asks_for_series_that_are_there() -> None:
    assert len(_queries()) > 30
    assert _asked(" ".join(_queries())) - SERIES == set()


def test_every_part_has_a_place_on_the_dashboard() -> None:
    asked = " ".join(_queries())
    for part in ("rpc", "ingest", "worker", "embedder", "query", "recall", "fsync", "segments"):
        assert f"lookalike_{part}" in asked


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_says_what_to_do(alert: str) -> None:
    assert f"runbook: docs/operation/alerts.md#{alert.lower()}\n" in RULES + CHART_RULES
    section = RUNBOOK.split(f"## {alert}\n", 1)[1].split("\n## ", 1)[0]
    assert len(section.split()) > 8


def test_what_is_to_be_done_is_about_alerts_that_are_there() -> None:
    assert sorted(re.findall(r"^## (\w+)$", RUNBOOK, re.MULTILINE)) == sorted(ALERTS)
