"""The command line against a fake service, in the test's process."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

from lookalike_client.cli.main import run


@dataclass
class Ran:
    """What a command printed, and how it ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it printed for a program."""
        return json.loads(self.out)


def ran(capsys: pytest.CaptureFixture[str], *arguments: str) -> Ran:
    """Run a command line."""
    code = run(arguments)
    out, err = capsys.readouterr()
    return Ran(code, out, err)
