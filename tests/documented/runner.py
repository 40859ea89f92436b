"""Runs the blocks of one page, in order, in a folder and against a system."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from lookalike_client import Client
from lookalike_client.cli.main import cli
from tests.documented.blocks import ROOT, Block, Kind

# What the pages say; the system of the tests listens elsewhere.
DOCUMENTED_ADDRESS = "127.0.0.1:50051"
_COMMAND_LIMIT_S = 120


class SnippetFailed(Exception):
    """A block does not do what its page says."""

    def __init__(self, block: Block, what: str) -> None:
        super().__init__(f"{block.place}: {what}")


@dataclass(slots=True)
class PageRunner:
    """One reader of one page, who types what stands there.

    `environment` is the shell's; `node` the folder with the packages that JavaScript
    needs, None where there is no Node: its blocks are then left out.
    """

    folder: Path
    address: str
    environment: dict[str, str]
    node: Path | None
    _names: dict[str, Any] = field(default_factory=lambda: {"__name__": "__main__"})
    _printed: str = ""

    def run(self, block: Block) -> None:
        """Do what a block says.

        Raises:
            SnippetFailed: it fails, or prints something else than is shown.
        """
        match block.kind:
            case Kind.SHELL:
                self._shell(block)
            case Kind.PYTHON:
                self._python(block)
            case Kind.NODE:
                self._node(block)
            case Kind.FILE:
                (self.folder / block.detail).write_text(block.text, encoding="utf-8")
            case Kind.PRINTED:
                _compare(block, block.text, self._printed)
            case Kind.FILTERS:
                self._filters(block)
            case Kind.SERVICE | Kind.NOT_RUN:
                check_commands(block)

    def _shell(self, block: Block) -> None:
        steps = list(_steps(block))
        for at, (command, shown) in enumerate(steps):
            ended = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", command],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=_COMMAND_LIMIT_S,
                check=False,
            )
            expected = int(block.detail or 0) if at == len(steps) - 1 else 0
            if ended.returncode != expected:
                raise SnippetFailed(
                    block,
                    f"exit code {ended.returncode} of {command!r}: {ended.stderr or ended.stdout}",
                )
            self._printed = ended.stdout + ended.stderr
            _compare(block, shown, self._printed)

    def _python(self, block: Block) -> None:
        # Where an error is found, its line is the page's.
        source = "\n" * block.line + block.text.replace(DOCUMENTED_ADDRESS, self.address)
        printed = io.StringIO()
        with contextlib.chdir(self.folder), contextlib.redirect_stdout(printed):
            try:
                exec(compile(source, block.page, "exec"), self._names)
            except Exception as error:
                raise SnippetFailed(block, f"{type(error).__name__}: {error}") from error
        self._printed = printed.getvalue()

    def _node(self, block: Block) -> None:
        if self.node is None:
            return
        script = self.node / f"{block.page.stem}-{block.line}.mjs"
        script.write_text(block.text.replace(DOCUMENTED_ADDRESS, self.address), encoding="utf-8")
        ended = subprocess.run(
            ["node", str(script)],
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=_COMMAND_LIMIT_S,
            check=False,
        )
        if ended.returncode:
            raise SnippetFailed(block, ended.stderr)
        self._printed = ended.stdout

    def _filters(self, block: Block) -> None:
        with Client(self.address) as client:
            for line in filter(str.strip, block.text.splitlines()):
                try:
                    client.count("images", filter=line)
                except Exception as error:
                    raise SnippetFailed(block, f"{line!r}: {error}") from error


def check_commands(block: Block) -> None:
    """Check a block that is not run as far as that is possible.

    What it asks of `make` must be a target, and every option of a service must be a
    documented one.

    Raises:
        SnippetFailed: it names what is not there.
    """
    if block.language not in ("bash", "console"):
        return
    for command in _commands(block):
        words = shlex.split(command, comments=True)
        if words[0] == "make":
            _check_targets(block, words[1:])
        elif words[:2] == ["python", "-m"] or words[0].endswith("lookalike"):
            _check_options(block, words)


def _check_targets(block: Block, words: list[str]) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    patterns = [
        re.escape(target).replace("%", ".+")
        for line in re.findall(r"^([a-z%\- ]+):(?!=)", makefile, re.MULTILINE)
        for target in line.split()
    ]
    for word in words:
        if "=" not in word and not any(re.fullmatch(each, word) for each in patterns):
            raise SnippetFailed(block, f"make has no target {word}")


def _command_path(words: list[str]) -> list[str]:
    """Return the command of a line, with the group that it is in."""
    group = cli.commands[words[1]]
    if isinstance(group, click.Group) and words[2:] and words[2] in group.commands:
        return words[1:3]
    return words[1:2]


def _check_options(block: Block, words: list[str]) -> None:
    known = (ROOT / "deploy" / "SETTINGS.md").read_text(encoding="utf-8")
    if words[0].endswith("lookalike"):
        asked = subprocess.run(
            [sys.executable, "-m", "lookalike_client", *_command_path(words), "--help"],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            capture_output=True,
            text=True,
            check=True,
        )
        known = re.sub(r"(--[a-z-]+)", r"`\1`", asked.stdout)
    for option in re.findall(r"(?<!\S)--[a-z-]+", " ".join(words)):
        if f"`{option}`" not in known:
            raise SnippetFailed(block, f"there is no option {option}")


def _steps(block: Block) -> list[tuple[str, str]]:
    """Return the commands of a block, each with the output shown below it."""
    if block.language == "bash":
        return [(block.text, "")]  # a script: later lines may use its variables
    steps: list[tuple[str, str]] = []
    for line in block.text.replace("\\\n", " ").splitlines():
        if line.startswith("$ "):
            steps.append((line[2:], ""))
        elif not steps:
            raise SnippetFailed(block, "output stands before the first command")
        else:
            command, shown = steps[-1]
            steps[-1] = (command, f"{shown}{line}\n")
    return steps


def _commands(block: Block) -> list[str]:
    """Return the commands of a block one by one, without comments and output."""
    if block.language == "console":
        return [command for command, _ in _steps(block)]
    lines = block.text.replace("\\\n", " ").splitlines()
    return [line for line in lines if shlex.split(line, comments=True)]


def _compare(block: Block, shown: str, printed: str) -> None:
    """Check that the lines shown were printed, in this order; `…` is any text."""
    rest = iter(" ".join(line.split()) for line in printed.splitlines())
    for line in filter(str.strip, shown.splitlines()):
        parts = " ".join(line.split()).split("…")
        pattern = re.compile(".*".join(map(re.escape, parts)))
        if not any(pattern.fullmatch(each) for each in rest):
            raise SnippetFailed(block, f"did not print {line!r}, but\n{printed}")
