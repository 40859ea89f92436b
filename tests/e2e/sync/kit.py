"""What the tests of `lookalike sync` share."""

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from lookalike_client import Client, Fields, Item
from tests.e2e.conftest import RunCli

NAMES = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg", "coins.png", "camera.png")
ALL = Fields(metadata=True, facts=True, vector=True, thumbnail=True)


def items(client: Client, collection: str) -> dict[str, Item]:
    return {item.id: item for item in client.list(collection, fields=ALL)}


def sync(cli: RunCli, folder: Path, collection: str, *options: str) -> dict[str, Any]:
    ran = cli("sync", folder, "-c", collection, "--still", "0", "--json", *options)
    assert ran.code == 0, (ran.out, ran.err)
    found: dict[str, Any] = ran.json
    return found


def label_all(client: Client, collection: str) -> None:
    """Give each item its own name, as of now, as metadata."""
    names = [item.id for item in client.list(collection)]
    client.update_metadata(collection, {name: {"was": name, "nested": {"n": 1}} for name in names})


def same_picture(one: Item, other: Item) -> bool:
    assert one.vector is not None
    assert other.vector is not None
    return (one.metadata, one.facts) == (other.metadata, other.facts) and bool(
        np.allclose(one.vector, other.vector, atol=1e-6)
    )


def wait_until(condition: Callable[[], bool], pause_s: float = 0.05) -> None:
    for _ in range(int(60 / pause_s)):
        try:
            if condition():
                return
        except (sqlite3.Error, OSError):
            pass
        time.sleep(pause_s)
    raise AssertionError("it never came")
