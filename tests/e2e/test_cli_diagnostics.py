"""`lookalike diagnostics`: a bundle that tells what is wrong, and no secrets."""

from __future__ import annotations

import json
import socket
import threading
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


@pytest.mark.parametrize(
    "url",
    ["http://user:pass-word@127.0.0.1:9/metrics", "http://user:pass-word@host", "http://[::1", "x"],
)
def test_an_address_that_would_take_a_password_along_is_refused(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "bundle.zip"
    assert main.run(["diagnostics", "--out", str(out), "--metrics", url]) == main.EXIT_USAGE
    said = capsys.readouterr()
    assert "without user and password" in said.err
    assert "pass-word" not in said.out + said.err
    assert not out.exists()


def test_what_answers_otherwise_than_by_http_is_in_the_bundle(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "bundle.zip"
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/metrics"
        asked = threading.Thread(target=_answer_garbage, args=(listening,))
        asked.start()
        arguments = ["--address", "127.0.0.1:9", "diagnostics", "--timeout", "0.5"]
        assert main.run([*arguments, "--out", str(out), "--metrics", url]) == 0
        asked.join()
    capsys.readouterr()
    with zipfile.ZipFile(out) as bundle:
        assert "\nerror:" in bundle.read("metrics-0.txt").decode()


def _answer_garbage(listening: socket.socket) -> None:
    one, _ = listening.accept()
    with one:
        one.recv(4096)
        one.sendall(b"\x00\x00\x12\x04 no HTTP\r\n\r\n")
