"""A real Prometheus loads the rules, scrapes a running system, and answers the dashboard."""

from __future__ import annotations

import json
import math
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from lookalike_client import Client, ImageItem, Query, VectorItem
from lookalike_client.supervisor.launch import RunningSystem
from tests.e2e.conftest import UP_OPTIONS
from tests.observability.prometheus import Prometheus
from tests.sources import ROOT

pytestmark = [
    pytest.mark.observability,
    pytest.mark.skipif(
        shutil.which("prometheus") is None or shutil.which("promtool") is None,
        reason="there is no Prometheus here: apt-get install prometheus",
    ),
]

RULES = ROOT / "deploy" / "observability" / "rules.yaml"
DASHBOARD = ROOT / "deploy" / "observability" / "dashboard.json"


@dataclass(frozen=True)
class Watched:
    system: RunningSystem
    prometheus: Prometheus


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    folder = tmp_path_factory.mktemp("watched")
    ports = {job: _free_port() for job in ("search", "embedder", "worker")}
    with pytest.MonkeyPatch.context() as patch:
        for job, port in ports.items():
            patch.setenv(f"LOOKALIKE_{job.upper()}_METRICS_PORT", str(port))
        patch.setenv("LOOKALIKE_SEARCH_RECALL_SAMPLE_SHARE", "1")
        patch.setenv("LOOKALIKE_SEARCH_HEAD_LIMIT", "10000")
        patch.setenv("LOOKALIKE_SEARCH_DRIFT_SAMPLE_SHARE", "1")
        system = RunningSystem(folder / "data", UP_OPTIONS)
        system.__enter__()
    try:
        with Prometheus(folder, _free_port(), ports, RULES) as prometheus:
            prometheus.wait_up(len(ports))
            yield Watched(system, prometheus)
    finally:
        system.stop()


def _photographs() -> list[Path]:
    found = find_spec("skimage")
    assert found is not None
    assert found.origin is not None
    folder = Path(found.origin).parent / "data"
    return [folder / name for name in ("chelsea.png", "coffee.png", "rocket.jpg", "astronaut.png")]


def _use(client: Client, round_number: int) -> None:
    """A little of everything that the dashboard shows."""
    photographs = _photographs()
    items: list[ImageItem] = [ImageItem(path.name, path) for path in photographs]
    items.append(ImageItem("broken", b"no image"))
    job = f"round-{round_number}"
    assert len(list(client.submit_images("watched", items, job_id=job))) == len(items)
    assert len(list(client.watch_ingest(job))) == len(items)
    generator = np.random.default_rng(round_number)
    for path in photographs:
        client.search("watched", Query.by_image(path), filter="a = 1")
        vector = generator.standard_normal(1280).astype(np.float32)
        client.search("watched", Query.by_vector(vector))
        client.search("graph", Query.by_vector(vector[:16]))


def _make_graph(client: Client) -> None:
    """A collection with a graph: recall is measured only of what is not exact."""
    client.collections.create("graph", model=None, dimension=16)
    vectors = np.random.default_rng(1).standard_normal((12_000, 16)).astype(np.float32)
    items = [VectorItem(str(number), vector) for number, vector in enumerate(vectors)]
    assert all(each.error is None for each in client.upsert_vectors("graph", items))


def test_the_rules_are_valid() -> None:
    ran = subprocess.run(
        ["promtool", "check", "rules", str(RULES)], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert "SUCCESS" in ran.stdout


def test_alerts_are_raised_by_the_series_that_they_are_about(tmp_path: Path) -> None:
    shutil.copy(RULES, tmp_path / "rules.yaml")
    shutil.copy(Path(__file__).with_name("alerts.yaml"), tmp_path)
    ran = subprocess.run(
        ["promtool", "test", "rules", str(tmp_path / "alerts.yaml")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_every_query_of_the_dashboard_returns_data(watched: Watched) -> None:
    with Client(watched.system.search) as client:
        client.collections.create("watched")
        _make_graph(client)
        # Each is scraped. Recall is there once the graph is.
        for number in range(30):
            _use(client, number)
            time.sleep(1.5)
            if number > 3 and watched.prometheus.query("lookalike_recall"):
                break
        time.sleep(3)
    panels = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    queries = [target["expr"] for panel in panels for target in panel.get("targets", ())]

    assert len(queries) > 30
    without = [query for query in queries if not _has_data(watched.prometheus, query)]
    assert without == [], "\n".join(without)


def test_the_rules_are_evaluated_and_those_of_a_healthy_system_are_silent(
    watched: Watched,
) -> None:
    groups = watched.prometheus.get("rules")["groups"]
    rules = [rule for group in groups for rule in group["rules"]]

    assert len(rules) == RULES.read_text(encoding="utf-8").count("- alert:")
    assert {rule["health"] for rule in rules} == {"ok"}
    # One image of the load is none, which is told.
    assert {rule["name"] for rule in rules if rule["state"] == "firing"} <= {
        "LookalikeFailuresGrow"
    }


def _has_data(prometheus: Prometheus, query: str) -> bool:
    values = prometheus.query(query.replace("$__rate_interval", "1m"))
    return any(not math.isnan(value) for value in values)
