"""When a folder is not to be believed: unmounted, unreadable, empty, or too much gone."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from lookalike_client.syncing.errors import SyncRefused
from lookalike_client.syncing.state import Claim

DEFAULT_SHARE = 0.2
# So few may go whatever their share, unless they are more than half of all.
SMALL_NUMBER = 5
_SMALL_SHARE = 0.5


@dataclass(slots=True)
class Gone:
    """Claims without a file in the folder.

    `ids`: the file is gone. `kept`: it is there and not taken as an image any more.
    `unreadable`: nobody can tell.
    """

    ids: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)


def check_folder(folder: Path, *, was_mount: bool) -> None:
    """Refuse a folder that is not there, or not as it was.

    Raises:
        SyncRefused: nothing of it is to be believed.
    """
    try:
        os.listdir(folder)
    except FileNotFoundError as error:
        raise SyncRefused(
            f"{folder} is not there: if it lies on a disk or share that is not mounted, mount it"
        ) from error
    except NotADirectoryError as error:
        raise SyncRefused(f"{folder} is no folder") from error
    except OSError as error:
        raise SyncRefused(f"{folder} cannot be read: {error.strerror}") from error
    if was_mount and not os.path.ismount(folder):
        raise SyncRefused(f"{folder} was on a file system of its own, which is not mounted now")


def look_for(folder: Path, claims: Iterable[Claim]) -> Gone:
    """Tell what became of the files of claims that are not found in the folder.

    Raises:
        SyncRefused: a file system below the folder is not mounted any more.
    """
    gone = Gone()
    device = folder.stat().st_dev
    for claim in claims:
        path = folder / claim.file
        try:
            path.lstat()
        except (FileNotFoundError, NotADirectoryError):
            if claim.is_nested and (above := _nearest(path)).stat().st_dev == device:
                raise SyncRefused(
                    f"{claim.file} was on a file system of its own, below {above}, which is "
                    "not mounted now"
                ) from None
            gone.ids.append(claim.id)
        except OSError:
            gone.unreadable.append(claim.id)
        else:
            gone.kept.append(claim.id)
    return gone


def too_many(removed: int, of: int, *, files: int, share: float) -> str:
    """Say why so many items are not to be removed; "" where they may be.

    `of` is how many the folder has, `files` how many files are there now.
    """
    if not removed:
        return ""
    if not files and share < 1:
        return (
            f"the folder holds no image now, and {removed:,} of its items would be removed: is it "
            "mounted? If all are to go, pass --allow-removal 100%"
        )
    if removed <= share * of or (removed <= SMALL_NUMBER and removed <= _SMALL_SHARE * of):
        return ""
    part = removed / of
    return (
        f"{removed:,} of {of:,} items ({part:.0%}) would be removed, more than {share:.0%}: if "
        f"that is right, pass --allow-removal {min(100, -(-removed * 100 // of))}%"
    )


def _nearest(path: Path) -> Path:
    """Return the nearest folder above a path that is there."""
    return next(above for above in path.parents if above.is_dir())
