"""What the tests of `lookalike import` share: the command, and rows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from lookalike_client import Client, Fields
from lookalike_client.cli.main import run

ROWS, DIMENSION = 30, 12
MATRIX = np.random.default_rng(4).normal(size=(ROWS, DIMENSION))


@dataclass
class Importer:
    """Runs the command and reads what it stored."""

    address: str
    client: Client
    capsys: pytest.CaptureFixture[str]
    err: str = ""

    def __call__(self, *arguments: object, code: int = 0) -> Any:
        words = ["--address", self.address, "--json", "import", *map(str, arguments)]
        ended = run(words)
        out, self.err = self.capsys.readouterr()
        assert ended == code, self.err
        told = json.loads(out)
        if "error" not in told:
            return told
        assert self.err.endswith(f"error: {told['error']['message']}\n")
        return None

    def stored(self, collection: str) -> dict[str, Any]:
        fields = Fields(vector=True, facts=True, thumbnail=True)
        return {each.id: each for each in self.client.list(collection, fields=fields)}


@contextmanager
def importing(address: str, capsys: pytest.CaptureFixture[str]) -> Iterator[Importer]:
    """Give an importer; leave the service without collections."""
    with Client(address) as client:
        yield Importer(address, client, capsys)
        for each in list(client.collections.list()):
            client.collections.delete(each.name)


def labels() -> list[str]:
    return [f"label {number}" for number in range(ROWS)]
