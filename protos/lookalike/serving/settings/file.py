"""Reads settings from a file in TOML, which several processes may share.

A table for each process holds what its options are called, with underscores:

    [search]
    grace_s = 30
    embedders = ["embedder-a:50052", "embedder-b:50052"]
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class FileInvalid(Exception):
    """The file cannot be used; the message says what to change and holds no value."""


def read_table(path: Path, part: str, parts: tuple[str, ...]) -> dict[str, str]:
    """Return what the table of `part` (upper case) says, by name, as a variable would say it.

    A table of another process is left alone; `parts` are all there are.

    Raises:
        FileInvalid: it cannot be read, is no TOML, or holds what no process reads.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise FileInvalid(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:  # also what is no UTF-8
        raise FileInvalid(f"{path}: is no TOML: {error}") from error
    known = [name.lower() for name in parts]
    for name, table in document.items():
        if name not in known or not isinstance(table, dict):
            tables = ", ".join(f"[{each}]" for each in known)
            raise FileInvalid(f"{path}: {name}: settings stand in one of the tables {tables}")
    ours: Mapping[str, Any] = document.get(part.lower(), {})
    return {name: _text(value, f"{path}: [{part.lower()}] {name}") for name, value in ours.items()}


def _text(value: Any, where: str) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ",".join(_text(each, where) for each in value)
    if isinstance(value, str | int | float):
        return str(value)
    raise FileInvalid(f"{where}: must be a text, a number, true or false, or a list of these")
