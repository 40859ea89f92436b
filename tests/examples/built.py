"""Generates the stubs of each example and builds it, in a copy below `build/`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.sources import ROOT

SOURCES = ROOT / "client" / "examples"
# As deep below the root as the sources: the paths in them that lead to the contract fit.
BUILT = ROOT / "build" / "clients"
_BUILD_LIMIT_S = 240


@dataclass(frozen=True, slots=True)
class Example:
    """A program that is ready to run: `command`, then its options, an address and an image."""

    command: Sequence[str]
    folder: Path


def python(folder: Path) -> Example:
    """The program in Python, of which only gRPC's own packages are found."""
    stubs = folder / "stubs"
    stubs.mkdir(exist_ok=True)
    contract = sorted(str(path) for path in (ROOT / "protos" / "lookalike" / "v1").glob("*.proto"))
    generator = (sys.executable, "-m", "grpc_tools.protoc", f"-I{ROOT / 'protos'}")
    _run([*generator, f"--python_out={stubs}", f"--grpc_python_out={stubs}", *contract], folder)
    return Example((sys.executable, "main.py"), folder)


def typescript(folder: Path) -> Example:
    """The program in TypeScript, with exactly the packages of its lock file."""
    _need("node", "npm")
    lock = (folder / "package-lock.json").read_text(encoding="utf-8")
    installed = folder / "node_modules" / "lock-that-was-installed.json"
    if not installed.exists() or installed.read_text(encoding="utf-8") != lock:
        _run(["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"], folder)
        installed.write_text(lock, encoding="utf-8")
    _run(["npm", "run", "build"], folder)
    return Example(("node", "dist/src/main.js"), folder)


def java(folder: Path) -> Example:
    """The program in Java, with the libraries of Debian."""
    _need("java", "javac", "protoc", "grpc_java_plugin")
    jars = ("grpc-netty", "netty-tcnative", "gson", "proto-google-common-protos")
    if not all(Path(f"/usr/share/java/{jar}.jar").exists() for jar in jars):
        pytest.skip("gRPC's Java libraries are not installed: see client/examples/java/build.sh")
    libraries = _run(["./build.sh"], folder).strip()
    # No compiler for the few seconds that it runs.
    return Example(("java", "-XX:TieredStopAtLevel=1", "-cp", libraries, "Main"), folder)


LANGUAGES: dict[str, Callable[[Path], Example]] = {
    "python": python,
    "typescript": typescript,
    "java": java,
}


def build(language: str) -> Example:
    """Build one, or skip the test where the machine lacks what that takes."""
    folder = BUILT / language
    shutil.copytree(SOURCES / language, folder, dirs_exist_ok=True, ignore=_MADE_BY_USERS)
    shutil.copy(SOURCES / "service-config.json", BUILT)
    return LANGUAGES[language](folder)


_MADE_BY_USERS = shutil.ignore_patterns("node_modules", "stubs", "classes", "dist", "__pycache__")


def _need(*commands: str) -> None:
    missing = [command for command in commands if shutil.which(command) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")


def _run(command: Sequence[str], folder: Path) -> str:
    # Such as `make test-examples` has them: without what finds our own packages.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    ended = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_BUILD_LIMIT_S,
        check=False,
    )
    assert ended.returncode == 0, (ended.stderr + ended.stdout)[-3000:]
    return ended.stdout
