"""`make update-deps`: the newest versions that pyproject.toml allows, as constraints.

pip resolves every extra as if nothing were installed, without installing anything.
CUDA's libraries are left out, since torch names its own exactly.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
CONSTRAINTS = ROOT / "deploy" / "constraints.txt"
HEADER = (
    "# Exact versions that the tests ran with: pip install --constraint deploy/constraints.txt\n"
)
_CUDA = re.compile(r"nvidia-|cuda-|triton")


def main() -> None:
    """Write the constraints and say what changed."""
    before = _pins(CONSTRAINTS.read_text(encoding="utf-8"))
    after = _resolved()
    lines = [f"{name}=={after[name]}\n" for name in sorted(after, key=str.lower)]
    CONSTRAINTS.write_text(HEADER + "".join(lines), encoding="utf-8")
    for name in sorted(before.keys() | after.keys(), key=str.lower):
        old, new = before.get(name, "-"), after.get(name, "-")
        if old != new:
            print(f"{name}: {old} -> {new}")


def _resolved() -> dict[str, str]:
    """Return name -> version of everything that an environment with all extras gets."""
    report = _pip("--dry-run", "--ignore-installed", "--report", "-", f"{ROOT}[{_extras()}]")
    installed: list[dict[str, Any]] = json.loads(report)["install"]
    found = {str(one["metadata"]["name"]): str(one["metadata"]["version"]) for one in installed}
    # A local label, such as torch's +cpu, names a build and no version.
    pins = {name: version.partition("+")[0] for name, version in found.items()}
    return {
        name: version
        for name, version in pins.items()
        if name != "lookalike" and not _CUDA.match(name)
    }


def _extras() -> str:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return ",".join(project["optional-dependencies"])


def _pip(*arguments: str) -> str:
    command = [sys.executable, "-m", "pip", "install", "--quiet", *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def _pins(text: str) -> dict[str, str]:
    return dict(line.split("==") for line in text.splitlines() if "==" in line)


if __name__ == "__main__":
    main()
