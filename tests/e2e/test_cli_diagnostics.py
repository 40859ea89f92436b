"""`lookalike diagnostics`: a bundle that tells what is wrong, and no secrets."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from lookalike_client import Client
from lookalike_client.cli import main
from lookalike_client.supervisor.launch import RunningSystem
from tests.e2e.conftest import RunCli


def test_a_bundle_has_what_a_report_needs(
    cli: RunCli, client: Client, system: RunningSystem, tmp_path: Path
) -> None:
    client.collections.create("looked-at")
    out = tmp_path / "bundle.zip"
    ran = cli("diagnostics", "--out", out, "--data", system.data, "--metrics", "http://127.0.0.1:9")
    client.collections.delete("looked-at")

    assert ran.code == 0
    with zipfile.ZipFile(out) as bundle:
        files = {name: bundle.read(name).decode() for name in bundle.namelist()}
    service = json.loads(files["service.json"])
    assert service["ready"] is True
    assert "looked-at" in [each["name"] for each in service["collections"]]
    assert json.loads(files["versions.json"])["numpy"][0].isdigit()
    assert files["metrics-0.txt"].startswith("# http://127.0.0.1:9\nerror:")
    assert {"logs/search.log", "logs/worker.log", "logs/embedder.log"} <= files.keys()


def test_a_service_that_is_away_is_in_the_bundle(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOOKALIKE_TOKEN", "a-secret-key")
    out = tmp_path / "bundle.zip"

    arguments = ["--address", "127.0.0.1:9", "diagnostics", "--timeout", "0.5", "--out", str(out)]
    assert main.run(arguments) == 0
    with zipfile.ZipFile(out) as bundle:
        files = {name: bundle.read(name).decode() for name in bundle.namelist()}
    assert "error" in json.loads(files["service.json"])["ready"]
    assert "a-secret-key" not in "".join(files.values()) + capsys.readouterr().out
