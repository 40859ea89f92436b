"""Durable files: written, synced and renamed so that a crash leaves old or new."""

from __future__ import annotations

import os
import shutil
from pathlib import Path


def sync_file(path: Path) -> None:
    """Force the file's bytes to the device."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_directory(path: Path) -> None:
    """Force the directory's entries to the device."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_durably(path: Path, data: bytes) -> None:
    """Create or replace `path` with `data`, atomically and durably."""
    temporary = path.with_name(f".{path.name}.tmp")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    sync_directory(path.parent)


def publish_directory(temporary: Path, final: Path) -> None:
    """Sync all files of `temporary`, then rename it to `final`, durably."""
    for path in sorted(temporary.iterdir()):
        sync_file(path)
    sync_directory(temporary)
    temporary.rename(final)
    sync_directory(final.parent)


def remove_tree(path: Path) -> None:
    """Remove a directory and what is in it; nothing happens if it is gone."""
    if path.exists():
        shutil.rmtree(path)
