"""The project's own files, as a checkout and as an unpacked source archive hold them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).parents[1]


def source_files(*suffixes: str) -> list[Path]:
    """Return the files with such endings, without what .gitignore names.

    Git is not asked: an archive has no `.git`, and in one that was unpacked inside
    another checkout git would speak of that one. Of .gitignore's language, names and
    paths with wildcards are understood, and comments.
    """
    lines = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    patterns = [line for line in lines if line and not line.startswith("#")]
    assert not any(line.startswith("!") or "**" in line for line in patterns)
    return sorted(path for path in _walk(patterns) if path.name.endswith(suffixes))


def _walk(patterns: list[str]) -> Iterator[Path]:
    folders = [".git", *(line.rstrip("/") for line in patterns)]
    files = [line for line in patterns if not line.endswith("/")]
    for place, below, names in os.walk(ROOT):
        here = Path(place)
        below[:] = [name for name in below if not _ignores(folders, here / name)]
        yield from (here / name for name in names if not _ignores(files, here / name))


def _ignores(patterns: list[str], path: Path) -> bool:
    whole = path.relative_to(ROOT).as_posix()
    return any(
        fnmatch(whole, line.removeprefix("/")) if "/" in line else fnmatch(path.name, line)
        for line in patterns
    )
