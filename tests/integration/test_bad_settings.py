"""Each process ends with code 2 and one line for a setting that cannot be used."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROCESSES = ("search_service", "embedder_service", "embedder_service.worker")
PREFIXES = dict(zip(PROCESSES, ("SEARCH", "EMBEDDER", "WORKER"), strict=True))


def ended(
    package: str, arguments: Sequence[str], tmp_path: Path, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run a process that must end at once for its settings."""
    data = ["--data", str(tmp_path)] if package == "search_service" else []
    process = subprocess.run(
        [sys.executable, "-m", package, *data, *arguments],
        env={"PYTHONPATH": f"{ROOT}:{ROOT / 'protos'}", "PATH": "/usr/bin:/bin", **variables},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert process.returncode == 2, process.stderr
    assert process.stdout == ""
    return process


def refused(package: str, arguments: Sequence[str], tmp_path: Path, **variables: str) -> str:
    """Return the one line that a process says before it ends for its settings."""
    said = ended(package, arguments, tmp_path, **variables).stderr
    assert said.startswith(f"{package}: ")
    assert said.count("\n") == 1
    return said


@pytest.mark.parametrize("package", PROCESSES)
@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--metrics-port", "-1"], "--metrics-port: must be a whole number from 0 to 65,535"),
        (["--log-level", "loud"], "--log-level: must be one of debug, info, warning, error"),
        (["--tls-kee", "k"], "--tls-kee: there is no such option; the nearest is --tls-key"),
        (["--tls-ca", "/nowhere"], "--tls-ca: must be a file that can be read"),
        (["--grace-s"], "--grace-s: expected one argument"),
    ],
)  # fmt: skip
def test_a_bad_option_is_told(
    package: str, arguments: list[str], told: str, tmp_path: Path
) -> None:
    assert told in refused(package, arguments, tmp_path)


@pytest.mark.parametrize("package", PROCESSES)
def test_an_unknown_variable_is_told(package: str, tmp_path: Path) -> None:
    prefix = f"LOOKALIKE_{PREFIXES[package]}_"
    told = refused(package, [], tmp_path, **{f"{prefix}LOG_LEVL": "debug"})

    assert f"{prefix}LOG_LEVL: there is no such setting; the nearest is {prefix}LOG_LEVEL" in told


@pytest.mark.parametrize("package", ["search_service", "embedder_service.worker"])
def test_the_form_of_an_address_is_told_without_its_password(package: str, tmp_path: Path) -> None:
    told = refused(package, ["--redis", "http://:hush@host"], tmp_path)

    assert '--redis: must be of the form "redis://user:password@host' in told
    assert "hush" not in told


@pytest.mark.parametrize("package", PROCESSES)
def test_a_taken_port_of_the_metrics_is_told(package: str, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        free = [] if package.endswith("worker") else ["--port", "0"]
        told = refused(package, [*free, "--metrics-port", port], tmp_path)

    assert "--metrics-port" in told


@pytest.mark.parametrize("package", ["search_service", "embedder_service"])
def test_a_taken_port_is_told(package: str, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        said = ended(package, ["--port", str(taken.getsockname()[1])], tmp_path).stderr

    # gRPC says something too.
    last = said.splitlines()[-1]
    assert last.startswith(f"{package}: cannot listen on 127.0.0.1:")
    assert last.endswith("is the port in use? Set another --host or --port")
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("model", "told"),
    [
        ("resnet18", "the name is one of efficientnet-lite0"),
        ("timm:resnet18@sum", "there is no option @sum; write @crop, @pad, @squash"),
        ("timm:resnet18@avg@max", "two options that say its pooling"),
        ("timm:resnet18@size:64", "@size:… is for onnx:FILE"),
        ("timm:resnet18=w.pth@pad", "options stand before the weights"),
        ("timm:resnet18=w.zip", "not w.zip"),
        ("efficientnet-lite2=w.pth", "comes with its own weights"),
        ("timm:resnet18=w.pth", "cannot read the weights file w.pth: No such file"),
        ("timm:resnet18", "timm:resnet18 has no weights here and they cannot be downloaded"),
        ("torchvision:resnet18", "give a file, as in torchvision:resnet18=FILE"),
        ("torchvision:no_such_net", "no_such_net"),
    ],
)  # fmt: skip
def test_a_model_that_cannot_be_served_is_told(model: str, told: str, tmp_path: Path) -> None:
    # Nobody listens there: as without a network, and nothing is cached.
    variables = {"https_proxy": "http://127.0.0.1:9", "HOME": str(tmp_path)}
    arguments = ["--models", model, "--port", "0"]
    assert told in refused("embedder_service", arguments, tmp_path, **variables)
