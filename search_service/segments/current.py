"""`segments.json`: which segments are in use, replaced atomically."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from search_service.durable_files import remove_tree, write_durably
from search_service.segments.errors import SegmentDamaged

CURRENT = "segments.json"
_FORMAT_VERSION = 1


def read_current(root: Path) -> list[str]:
    """Return the names of the segments in use; none if there is no file yet.

    Raises:
        SegmentDamaged: the file is not what was written.
    """
    try:
        data = (root / CURRENT).read_bytes()
    except FileNotFoundError:
        return []
    try:
        names = json.loads(data)["segments"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise SegmentDamaged(f"{CURRENT}: cannot be read") from error
    if not isinstance(names, list) or _encode(names) != data:
        raise SegmentDamaged(f"{CURRENT}: is not in the form that is written")
    return names


def write_current(root: Path, names: Sequence[str]) -> None:
    """Make `names` the segments in use, durably."""
    write_durably(root / CURRENT, [_encode(names)])


def remove_leftovers(root: Path, names: Sequence[str]) -> None:
    """Remove what builds left behind and every segment that is not in `names`."""
    for path in root.iterdir():
        if path.is_dir() and path.name not in names:
            remove_tree(path)


def remove_unfinished(root: Path) -> None:
    """Remove the directories of builds that did not end; none may be running."""
    for path in root.glob(".building-*"):
        remove_tree(path)


def _encode(names: Sequence[str]) -> bytes:
    body = {"format": _FORMAT_VERSION, "segments": list(names)}
    return json.dumps(body, sort_keys=True).encode() + b"\n"
