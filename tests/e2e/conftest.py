"""One whole system for all end-to-end tests, and the command to talk to it."""

import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from lookalike.serving.settings.reading import PARTS
from lookalike_client import Client
from lookalike_client.cli import main
from lookalike_client.supervisor.launch import RunningSystem
from tests.e2e.collector import Collector

ROOT = Path(__file__).parents[2]
# The small network: it starts in half the time, and these tests are not about quality.
MODEL = "efficientnet-lite0"
# Converted once for all systems that these tests start, also in later runs.
UP_OPTIONS = (
    *("--model", MODEL),
    *("--model-cache", str(ROOT / "build" / "test-model-cache")),
)


@dataclass(frozen=True, slots=True)
class Ran:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it printed, as one JSON document."""
        return json.loads(self.out)


RunCli: TypeAlias = Callable[..., Ran]


def environment() -> dict[str, str]:
    """The environment in which a child finds the packages where the tests do."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def command(*arguments: str | Path) -> list[str]:
    """The command line of `lookalike`."""
    return [sys.executable, "-m", "lookalike_client", *map(str, arguments)]


def run_cli(*arguments: str | Path, cwd: Path | None = None, timeout_s: float = 120) -> Ran:
    """Run `lookalike` to its end."""
    ended = subprocess.run(
        command(*arguments),
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
        cwd=cwd,
        env=environment(),
        stdin=subprocess.DEVNULL,
    )
    return Ran(ended.returncode, ended.stdout, ended.stderr)


@pytest.fixture(scope="session")
def collector() -> Iterator[Collector]:
    """Where the system sends the traces that its callers ask for."""
    with Collector() as running:
        yield running


@pytest.fixture(scope="session")
def system(
    tmp_path_factory: pytest.TempPathFactory, collector: Collector
) -> Iterator[RunningSystem]:
    """Redis, embedder, search service and worker; `.search` is the address.

    They go on with traces, and begin none.
    """
    data = tmp_path_factory.mktemp("system")
    with pytest.MonkeyPatch.context() as patch:
        for part in PARTS:
            patch.setenv(f"LOOKALIKE_{part}_TRACES_TO", collector.url)
            patch.setenv(f"LOOKALIKE_{part}_TRACES_SHARE", "0")
            patch.setenv(f"LOOKALIKE_{part}_LOG_LEVEL", "debug")
        system = RunningSystem(data, UP_OPTIONS)
        system.__enter__()
    try:
        yield system
    finally:
        system.stop()


@pytest.fixture
def client(system: RunningSystem) -> Iterator[Client]:
    with Client(system.search) as connected:
        yield connected


@pytest.fixture
def cli(
    system: RunningSystem, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> RunCli:
    """Runs `lookalike` against the system, in this process: a start of Python costs a second."""

    def run(*arguments: str | Path, cwd: Path | None = None) -> Ran:
        if cwd is not None:
            monkeypatch.chdir(cwd)
        capsys.readouterr()
        code = main.run(["--address", system.search, *map(str, arguments)])
        out, err = capsys.readouterr()
        return Ran(code, out, err)

    return run


@pytest.fixture(scope="session")
def photos() -> Path:
    """A folder with real photographs."""
    found = find_spec("skimage")
    if found is None or found.origin is None:
        pytest.skip("scikit-image, which carries the photographs, is not installed")
    return Path(found.origin).parent / "data"


@pytest.fixture(scope="session")
def photo(photos: Path) -> Path:
    """A real photograph."""
    return photos / "chelsea.png"


@pytest.fixture(scope="session")
def node_packages() -> Path | None:
    """A folder with the packages of a client in Node; None where there is no Node."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        return None
    folder = ROOT / "build" / "node"
    folder.mkdir(parents=True, exist_ok=True)
    # Another process of the same run of tests may be about to do the same.
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _install(folder)
    return folder


def _install(folder: Path) -> None:
    manifest = (ROOT / "tests" / "e2e" / "node" / "package.json").read_text()
    installed = folder / "installed.json"
    if not installed.exists() or installed.read_text() != manifest:
        (folder / "package.json").write_text(manifest)
        subprocess.run(
            ["npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--silent"],
            cwd=folder,
            check=True,
            timeout=240,
        )
        installed.write_text(manifest)
