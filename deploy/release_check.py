"""`make release-check`: what has to hold before a version is tagged.

Version, changelog and the kept image of the contract agree; the source archive and, from
it, the wheel are built; each extra is installed from the wheel into an environment of its
own, in which its programs are started. Ends with the command that sets the tag.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import tomllib
import venv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
DIST = ROOT / "dist"
CONSTRAINTS = ROOT / "deploy" / "constraints.txt"


class NotReady(Exception):
    """The version cannot be released; the message says why."""


@dataclass(frozen=True, slots=True)
class Trial:
    """A command in a fresh environment, how it ends, and what it has to say."""

    command: tuple[str, ...]
    code: int
    says: str


@dataclass(frozen=True, slots=True)
class Part:
    """An extra, what is tried with it, and which modules it must come without.

    With `borrows`, its dependencies are those of .venv, after a check that these are
    what the wheel asks for: torch and OpenVINO are several gigabytes.
    """

    extra: str
    trials: tuple[Trial, ...]
    without: tuple[str, ...] = ()
    borrows: bool = False


PARTS = (
    Part("", (Trial(("lookalike", "version"), 2, "lookalike[client]"),), without=("click",)),
    Part(
        "client",
        (
            Trial(("python", "-c", "import lookalike_client"), 0, ""),
            Trial(("lookalike", "--help"), 0, "Find images that look alike"),
            Trial(
                ("lookalike", "--address", "127.0.0.1:9", "count"), 3, "no search service answers"
            ),
        ),
        without=("torch", "redis", "usearch"),
    ),
    Part(
        "client,web",
        (
            Trial(("python", "-c", "import lookalike_client.web.app"), 0, ""),
            Trial(("lookalike", "web", "--host", "0.0.0.0"), 2, "--allow-host"),  # noqa: S104
        ),
        without=("torch", "redis", "usearch"),
    ),
    Part(
        "search",
        (
            Trial(("python", "-m", "search_service", "--help"), 0, "--data"),
            Trial(("python", "-m", "search_service"), 2, "--data"),
        ),
        without=("torch", "click"),
    ),
    Part(
        "worker",
        (
            Trial(("python", "-m", "embedder_service.worker", "--help"), 0, "--search"),
            Trial(("python", "-m", "embedder_service.worker", "--nothing"), 2, "--nothing"),
        ),
        without=("torch", "openvino", "PIL", "usearch"),
    ),
    Part(
        "embedder",
        (
            Trial(("python", "-m", "embedder_service", "--help"), 0, "--models"),
            Trial(("python", "-m", "embedder_service", "--port", "none"), 2, "port"),
        ),
        borrows=True,
    ),
)


def main() -> int:
    """Run every check; return the exit code."""
    version = str(_project()["version"])
    try:
        check_changelog(version)
        check_image(version)
        wheel = build(version)
        for part in PARTS:
            try_part(wheel, part)
    except NotReady as reason:
        print(f"not ready: {reason}", file=sys.stderr)
        return 1
    print(f"{version} is ready. Once its commit is on the main branch:\n")
    print(f"    git tag --annotate v{version} --message 'Lookalike {version}'")
    return 0


def check_changelog(version: str) -> None:
    """Check that the newest section is this version's, with a date and with entries."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    sections = re.split(r"^## ", text, flags=re.MULTILINE)[1:]
    if sections and sections[0].startswith("[Unreleased]"):
        if "\n- " in sections[0]:
            raise NotReady("CHANGELOG.md has entries under [Unreleased]: they belong to a version")
        sections = sections[1:]
    title = re.escape(f"[{version}]") + r" - \d{4}-\d\d-\d\d\n"
    if not sections or not re.match(title, sections[0]) or "\n- " not in sections[0]:
        raise NotReady(
            f"the newest section of CHANGELOG.md is not '[{version}] - DATE' with entries"
        )


def check_image(version: str) -> None:
    """Check that the kept image of the contract is this version's."""
    kept = ROOT / "protos" / "released" / f"lookalike-v{version}.json"
    built = _run(
        [_tool("buf"), "build", "protos", "--exclude-source-info", "--output", "-#format=json"]
    )
    if not kept.exists() or json.loads(kept.read_text(encoding="utf-8")) != json.loads(built):
        raise NotReady(f"{kept.relative_to(ROOT)} is not the contract: make release-image")


def build(version: str) -> Path:
    """Build the source archive, and the wheel from it; return the wheel."""
    print("building", flush=True)
    with tempfile.TemporaryDirectory(prefix="lookalike-release-") as folder:
        _run([sys.executable, "-m", "build", "--outdir", folder, str(ROOT)])
        made = sorted(Path(folder).iterdir())
        names = [f"lookalike-{version}-py3-none-any.whl", f"lookalike-{version}.tar.gz"]
        if [one.name for one in made] != names:
            raise NotReady(f"built {[one.name for one in made]}, not {names}")
        DIST.mkdir(exist_ok=True)
        for one in made:
            (DIST / one.name).write_bytes(one.read_bytes())
    return DIST / names[0]


def try_part(wheel: Path, part: Part) -> None:
    """Install `part` into an environment of its own, and start what it has."""
    name = f"lookalike[{part.extra}]" if part.extra else "lookalike"
    print(f"trying {name}", flush=True)
    with tempfile.TemporaryDirectory(prefix="lookalike-release-") as folder:
        place = Path(folder)
        venv.create(place, with_pip=True)
        wanted = f"{wheel}[{part.extra}]" if part.extra else str(wheel)
        pip = [str(place / "bin" / "python"), "-m", "pip", "install", "--quiet"]
        if part.borrows:
            _run([*pip, "--no-deps", str(wheel)])
            _borrow(place, part.extra)
        else:
            _run([*pip, "--constraint", str(CONSTRAINTS), wanted])
        for module in part.without:
            _try(place, Trial(("python", "-c", f"import {module}"), 1, "ModuleNotFoundError"), name)
        for trial in part.trials:
            _try(place, trial, name)


# What the wheel asks for, beside what is there.
_UNMET = """
import sys
from importlib.metadata import PackageNotFoundError, requires, version
from packaging.requirements import Requirement
for line in requires("lookalike"):
    one = Requirement(line)
    if one.marker is None or one.marker.evaluate({"extra": sys.argv[1]}):
        try:
            there = version(one.name)
        except PackageNotFoundError:
            there = None
        if there is None or there not in one.specifier:
            print(f"{line}: {there} is there")
"""


def _borrow(place: Path, extra: str) -> None:
    """Let an environment see the packages of ours, without our editable installation."""
    (ours,) = {path for path in sys.path if path.endswith("site-packages")}
    (site,) = place.glob("lib/python*/site-packages")
    # A folder that a .pth file names is searched last, and its own .pth files are not read.
    (site / "borrowed.pth").write_text(f"{ours}\n", encoding="utf-8")
    if unmet := _run([str(place / "bin" / "python"), "-c", _UNMET, extra]):
        raise NotReady(f"lookalike[{extra}] asks for what .venv has not: {unmet.strip()}")


def _try(place: Path, trial: Trial, name: str) -> None:
    program, *arguments = trial.command
    ended = subprocess.run(
        [str(place / "bin" / program), *arguments],
        cwd=place,  # where the sources are not
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    said = ended.stdout + ended.stderr
    clean = "Traceback" not in said or "ModuleNotFoundError" in trial.says
    if ended.returncode != trial.code or trial.says not in said or not clean:
        raise NotReady(
            f"{name}: {' '.join(trial.command)} ended with {ended.returncode}, "
            f"not with {trial.code} and {trial.says!r}:\n{said[-2000:]}"
        )


def _run(command: Sequence[str]) -> str:
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise NotReady(f"{' '.join(command)}:\n{(ended.stdout + ended.stderr)[-2000:]}")
    return ended.stdout


def _tool(name: str) -> str:
    return str(Path(sys.executable).parent / name)


def _project() -> dict[str, object]:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    project: dict[str, object] = tomllib.loads(text)["project"]
    return project


if __name__ == "__main__":
    sys.exit(main())
