"""What a start finds in a data directory: the names, and what a crash has left."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

from search_service import limits
from search_service.catalog.names import NameFile, Names, NamesDamaged
from search_service.domain.collection import SettingsChange
from search_service.shard.api import ShardApi

_log = logging.getLogger(__name__)


def load_names(root: Path, file: NameFile) -> Names:
    """Read the names; a directory that is new gets an empty file of them.

    Raises:
        NamesDamaged: they cannot be read, or are gone.
    """
    if file.exists():
        return file.load()
    if any((root / "collections").iterdir()):
        raise NamesDamaged(
            f"{root} has collections but no catalog.json: put it back before starting"
        )
    file.save(Names())
    return Names()


def named(shard: ShardApi, name: str) -> ShardApi:
    """Return a shard that was opened, under its name: a crash may have come between the two
    of a renaming.

    Raises:
        LookalikeError: the disk is full.
    """
    if shard.spec.name != name:
        shard.update_settings(SettingsChange(name=name))
    return shard


def remove_leftovers(root: Path, names: Names) -> None:
    """Remove directories of collections that have no name."""
    known = set(names.collections.values())
    for directory in (root / "collections").iterdir():
        if not directory.is_dir() or not limits.is_uid(directory.name) or directory.name in known:
            continue
        _log.warning("removing an unfinished collection", extra={"uid": directory.name})
        shutil.rmtree(directory)
