"""Asks for known weaknesses of all packages in deploy/constraints.txt.

    python deploy/audit.py PIP_AUDIT      the path of that command

Ends with 0 when none has any, 1 when one has, and 3 when that could not be asked of all:
`pip-audit` itself passes over packages that its database does not answer for.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PINS = Path(__file__).with_name("constraints.txt")
EXIT_WEAK, EXIT_UNKNOWN = 1, 3


def judged(said: Mapping[str, Any]) -> tuple[list[str], int]:
    """Return lines for people, and the exit code, from what `pip-audit --format json` says."""
    packages = said["dependencies"]
    weak = [
        f"{each['name']} {each['version']}: {found['id']}"
        + (f", mended in {', '.join(found['fix_versions'])}" if found["fix_versions"] else "")
        for each in packages
        for found in each.get("vulns", ())
    ]
    skipped = [each["name"] for each in packages if "skip_reason" in each]
    asked = len(packages) - len(skipped)
    if skipped:
        some = ", ".join(skipped[:5]) + (" …" if len(skipped) > 5 else "")
        weak.append(
            f"NOT AUDITED: the database cannot be reached for {len(skipped)} of {len(packages)} "
            f"packages ({some}): run this where PyPI's JSON interface can be reached"
        )
    lines = [*weak, f"{asked} packages asked for"]
    if len(weak) > bool(skipped):
        return lines, EXIT_WEAK
    return lines, EXIT_UNKNOWN if skipped else 0


def main(command: str) -> int:
    """Run the audit; return the exit code."""
    done = subprocess.run(
        [
            *(command, "--requirement", str(PINS), "--no-deps", "--disable-pip"),
            *("--format", "json", "--progress-spinner", "off"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        said = json.loads(done.stdout)
    except ValueError:
        lines = done.stderr.strip().splitlines() or ["nothing was said"]
        sys.stderr.write(f"NOT AUDITED: pip-audit failed: {lines[-1]}\n")
        return EXIT_UNKNOWN
    lines, code = judged(said)
    sys.stdout.write("\n".join(lines) + "\n")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
