"""The environments that peers run in, made from pinned requirements on first use."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

_HERE = Path(__file__).resolve().parent
_ROOT = _HERE.parents[3]
_REQUIREMENTS = {
    "peers": _HERE.parent / "peers.txt",
    "milvus": _HERE.parent / "peers_milvus.txt",
    "anchors": _HERE.parent / "anchors.txt",
}
_INSTALL_TIMEOUT_S = 1_800.0


class Missing(Exception):
    """Something that a figure needs is not to be had here; the text says what."""


def python_of(name: str) -> Path:
    """Return the interpreter of environment `name`, installed if need be.

    Raises:
        Missing: it cannot be installed.
    """
    directory = _ROOT / ".bench-venv" / name
    python = directory / "bin" / "python"
    requirements = _REQUIREMENTS[name]
    wanted = hashlib.sha256(requirements.read_bytes()).hexdigest()
    stamp = directory / ".installed"
    if stamp.exists() and stamp.read_text() == wanted:
        return python
    print(f"installing {requirements.name} (once)", flush=True)
    if not python.exists():
        _run([sys.executable, "-m", "venv", str(directory)], f"no environment for {name}")
    _run(
        [str(python), "-m", "pip", "install", "--quiet", "--requirement", str(requirements)],
        f"{requirements.name} cannot be installed",
    )
    stamp.write_text(wanted)
    return python


def _run(arguments: list[str], failure: str) -> None:
    try:
        done = subprocess.run(
            arguments, capture_output=True, text=True, check=False, timeout=_INSTALL_TIMEOUT_S
        )
    except subprocess.TimeoutExpired as error:
        raise Missing(f"{failure}: it took more than {_INSTALL_TIMEOUT_S:.0f} s") from error
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise Missing(f"{failure}: {last}")
