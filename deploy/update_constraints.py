"""`make update-deps`: the newest versions that pyproject.toml allows, as constraints and as a lock.

    python deploy/update_constraints.py UV [--keep]      the path of that command

`constraints.txt` has a version of each package of every extra. `locked.txt` has those that
`make setup` installs, with the SHA-256 of each of their files; `--keep` writes it alone, for
the versions that `constraints.txt` has. torch is in neither lock nor hashes: which of its
builds is installed, and from which index, is for the user to say; CUDA's libraries follow it.

Versions suit the oldest Python that pyproject.toml allows, whichever runs this.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parents[1]
CONSTRAINTS = ROOT / "deploy" / "constraints.txt"
LOCKED = ROOT / "deploy" / "locked.txt"
HEADER = (
    "# Exact versions that the tests ran with: pip install --constraint deploy/constraints.txt\n"
)
LOCKED_HEADER = "# What `make setup` installs, by hash: written by deploy/update_constraints.py\n"
_CUDA = re.compile(r"nvidia-|cuda-|triton")
_TORCH = re.compile(r"torch(vision)?==")
_OLDEST_PYTHON = "3.11"


def main(uv: str, *options: str) -> None:
    """Write the files and say what changed."""
    if "--keep" not in options:
        before = pins(CONSTRAINTS.read_text(encoding="utf-8"))
        after = pins(_resolved(uv, _all_extras()))
        lines = [f"{name}=={after[name]}\n" for name in sorted(after, key=str.lower)]
        CONSTRAINTS.write_text(HEADER + "".join(lines), encoding="utf-8")
        for name in sorted(before.keys() | after.keys(), key=str.lower):
            old, new = before.get(name, "-"), after.get(name, "-")
            if old != new:
                print(f"{name}: {old} -> {new}")
    text = _resolved(uv, set_up_extras(), "--generate-hashes", "--constraint", str(CONSTRAINTS))
    kept = [one for one in _requirements(text) if not (_CUDA.match(one) or _TORCH.match(one))]
    LOCKED.write_text(LOCKED_HEADER + "".join(kept), encoding="utf-8")


def pins(text: str) -> dict[str, str]:
    """Return normalised name -> version, without CUDA's libraries."""
    found = re.findall(r"^([\w.-]+)==([^\s;+]+)", text, re.MULTILINE)
    plain = {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in found}
    return {name: version for name, version in plain.items() if not _CUDA.match(name)}


def set_up_extras() -> list[str]:
    """Return the extras that `make setup` installs."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    (names,) = re.findall(r"^EXTRAS := (.*)$", makefile, re.MULTILINE)
    return str(names).split(",")


def _all_extras() -> list[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return list(project["optional-dependencies"])


def _requirements(text: str) -> list[str]:
    """Split a file of requirements; the hashes of one stand on further lines."""
    return re.findall(r"^\S[^\n]*\n(?:[ ]+[^\n]*\n)*", text, re.MULTILINE)


def _resolved(uv: str, extras: Iterable[str], *options: str) -> str:
    command = [
        *(uv, "pip", "compile", "--quiet", "--no-header", "--no-annotate"),
        *("--python-version", _OLDEST_PYTHON, "--python-platform", "linux"),
        *(word for extra in extras for word in ("--extra", extra)),
        *options,
        str(ROOT / "pyproject.toml"),
    ]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


if __name__ == "__main__":
    main(*sys.argv[1:])
