"""Files as they are at a moment: their contents' hashes, and which are still being written."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass, field
from pathlib import Path

from lookalike_client.indexing.scan import FileEntry
from lookalike_client.syncing.endings import lacks_its_end
from lookalike_client.syncing.state import Claim

DEFAULT_STILL_S = 2.0
# A file that lacks its end and has not grown for so long is taken to be cut for good.
PATIENCE_S = 30.0
# Within so long of a change another one may bear the same times: file systems count in
# ticks, FAT in two seconds. A stamp of such a file says nothing.
_COARSE_S = 3.0


@dataclass(frozen=True, slots=True)
class ReadFile:
    """A file and its content; `sha256` is "" where it cannot be read."""

    entry: FileEntry
    sha256: str
    stamp: str
    is_nested: bool


@dataclass(slots=True)
class Contents:
    """What the files of a folder hold; `moving` are those that are still being written."""

    files: list[ReadFile] = field(default_factory=list)
    moving: list[FileEntry] = field(default_factory=list)


class Reader:
    """Reads files, and remembers from one time to the next how they stood."""

    def __init__(
        self,
        still_s: float = DEFAULT_STILL_S,
        patience_s: float = PATIENCE_S,
        clock_s: Callable[[], float] = time.time,
    ) -> None:
        """A file is taken once it has been the same for `still_s`, whole or not after
        `patience_s`. `clock_s` is that of the files' times.
        """
        self._still_s, self._patience_s, self._clock_s = still_s, patience_s, clock_s
        self._seen: dict[Path, tuple[str, float]] = {}

    def read(
        self, files: Iterable[FileEntry], claims: Mapping[str, Claim], known: Set[str], device: int
    ) -> Contents:
        """Hash what `claims` do not tell; `device` is the folder's.

        A file whose content is in `known` is whole, however new it is.
        """
        contents, seen = Contents(), dict[Path, tuple[str, float]]()
        for entry in files:
            try:
                status = entry.path.stat()
            except OSError:
                contents.files.append(ReadFile(entry, "", "", False))
                continue
            stamp = _stamp(status)
            claim = claims.get(entry.id)
            nested = status.st_dev != device
            if claim is not None and claim.stamp == stamp:
                contents.files.append(ReadFile(entry, claim.sha256, stamp, nested))
                continue
            sha256 = _sha256(entry.path)
            same = claim is not None and claim.is_content(sha256)
            if same or sha256 in known or not sha256 or self._is_whole(entry, status, stamp, seen):
                changed_s = max(status.st_mtime, status.st_ctime)
                sure = abs(self._clock_s() - changed_s) > _COARSE_S
                contents.files.append(ReadFile(entry, sha256, stamp if sure else "", nested))
            else:
                contents.moving.append(entry)
        self._seen = seen
        return contents

    def _is_whole(
        self,
        entry: FileEntry,
        status: os.stat_result,
        stamp: str,
        seen: dict[Path, tuple[str, float]],
    ) -> bool:
        now_s = self._clock_s()
        before, since_s = self._seen.get(entry.path, ("", now_s))
        if before != stamp:
            # Its own times tell since when, unless they are set to what has not come yet.
            since_s = min(now_s, max(status.st_mtime, status.st_ctime))
        if now_s - since_s >= self._still_s and (
            now_s - since_s >= self._patience_s or not lacks_its_end(entry.path)
        ):
            # It may have gone on while it was read.
            try:
                return _stamp(entry.path.stat()) == stamp
            except OSError:
                return False
        seen[entry.path] = (stamp, since_s)
        return False


def _stamp(status: os.stat_result) -> str:
    return f"{status.st_size}.{status.st_mtime_ns}.{status.st_ctime_ns}.{status.st_ino}"


def _sha256(path: Path) -> str:
    """Return the file's hash; empty where it cannot be read, which sending reports."""
    try:
        with path.open("rb") as handle:
            return hashlib.file_digest(handle, "sha256").hexdigest()
    except OSError:
        return ""
