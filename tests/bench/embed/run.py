"""What all measurements of this suite share."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench.report import Report
from tests.integration.embedder_process import ROOT, EmbedderProcess

WORK = ROOT / "build" / "bench" / "embed"
MODEL = "efficientnet-lite2"


class Missing(Exception):
    """A figure cannot be measured here; the text says why."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run: where figures go, which are wanted, and how long to measure.

    `scale` shrinks every duration and count: 1 is the real thing.
    """

    report: Report
    only: frozenset[str]
    scale: float
    precision: str

    def wants(self, group: str) -> bool:
        """Whether figures "embed.<group>…" are asked for."""
        return not self.only or group in self.only

    def seconds(self, full: float) -> float:
        """Return a duration at this run's scale."""
        return max(full * self.scale, 1.0)

    def count(self, full: int) -> int:
        """Return a count at this run's scale."""
        return max(int(full * self.scale), 20)

    @contextmanager
    def server(self, *arguments: str, models: str = MODEL) -> Iterator[EmbedderProcess]:
        """Run an embedder."""
        WORK.mkdir(parents=True, exist_ok=True)
        process = EmbedderProcess(
            "--models", models, "--precision", self.precision,
            "--cache-dir", str(WORK / "models"), "--metrics-port", "0", *arguments,
            log=WORK / "embedder.log",
        )  # fmt: skip
        try:
            yield process
        finally:
            process.stop()


def parse(arguments: Sequence[str]) -> Run:
    """Return the run that the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.embed")
    parser.add_argument("--only", default="", help="groups to measure, such as 1,3,8")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the full run")
    parser.add_argument("--precision", default="f32", help="f32 or bf16")
    options = parser.parse_args(arguments)
    words = ["make", "bench-embed"] if not arguments else ["python", "-m tests.bench.embed"]
    command = " ".join([*words, *arguments])
    only = frozenset(filter(None, options.only.split(",")))
    return Run(Report("embed", command), only, options.scale, options.precision)


def attempt(run: Run, measure: Callable[[], None], *expected: tuple[str, str, str, str]) -> None:
    """Measure; what is missing then gets a row that says why.

    `expected` holds (id, what, unit, target) of the rows that should come.
    """
    try:
        measure()
    except (Missing, AssertionError, OSError, subprocess.SubprocessError) as error:
        have = {row.id for row in run.report.rows}
        for name, what, unit, target in expected:
            if name not in have:
                run.report.missing(name, what, unit, target, reason=str(error) or repr(error))


def module_process(
    module: str, *arguments: str, python: Path | None = None
) -> subprocess.Popen[str]:
    """Start `python -m module` at the root of the checkout, its output in a pipe.

    It leads a process group of its own.
    """
    command = [str(python or sys.executable), "-m", module, *arguments]
    return subprocess.Popen(
        command,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        process_group=0,
    )
