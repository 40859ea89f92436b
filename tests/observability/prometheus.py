"""A real Prometheus that scrapes what it is given."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote
from urllib.request import ProxyHandler, build_opener

_OPENER = build_opener(ProxyHandler({}))  # it is on this machine


class Prometheus:
    """From `with` to the end of its block; `targets` are ports by the name of their job."""

    def __init__(self, folder: Path, port: int, targets: dict[str, int], rules: Path) -> None:
        self._folder = folder
        self._url = f"http://127.0.0.1:{port}"
        self._port = port
        jobs = [
            {"job_name": job, "static_configs": [{"targets": [f"127.0.0.1:{number}"]}]}
            for job, number in targets.items()
        ]
        config = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(rules.resolve())],
            "scrape_configs": jobs,
        }
        (folder / "prometheus.yml").write_text(json.dumps(config))  # JSON is YAML

    def __enter__(self) -> Self:
        with (self._folder / "prometheus.log").open("wb") as log:
            self._process = subprocess.Popen(
                [
                    "prometheus",
                    f"--config.file={self._folder / 'prometheus.yml'}",
                    f"--storage.tsdb.path={self._folder / 'tsdb'}",
                    f"--web.listen-address=127.0.0.1:{self._port}",
                ],
                stdout=log,
                stderr=log,
            )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(30)

    def get(self, path: str) -> Any:
        """Return the data of an answer of its API."""
        with _OPENER.open(f"{self._url}/api/v1/{path}", timeout=10) as answer:
            return json.load(answer)["data"]

    def query(self, expression: str) -> list[float]:
        """Return the values of an expression now."""
        found = self.get(f"query?query={quote(expression)}")["result"]
        return [float(one["value"][1]) for one in found]

    def wait_up(self, jobs: int, within_s: float = 60.0) -> None:
        """Wait until so many jobs were scraped."""
        until_s = time.monotonic() + within_s
        while time.monotonic() < until_s:
            try:
                if sum(self.query("up")) == jobs:
                    return
            except OSError:
                pass
            time.sleep(0.5)
        raise AssertionError((self._folder / "prometheus.log").read_text()[-2000:])
