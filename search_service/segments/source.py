"""Segments of one collection on this machine's disk, and their builder."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

from search_service.durable_files import remove_tree
from search_service.segments.api import BuildJob, BuildResult
from search_service.segments.builder import DEFAULT_NICE, Builder
from search_service.segments.current import read_current, remove_leftovers, write_current
from search_service.segments.errors import SegmentDamaged
from search_service.segments.manifest import Identity
from search_service.segments.segment import Segment


class DiskSegments:
    """The `SegmentSource` of a shard: directories under `root`."""

    def __init__(
        self,
        root: Path,
        *,
        uid: str,
        dimension: int,
        fingerprint: str,
        nice: int = DEFAULT_NICE,
        on_step: Callable[[int, str], None] | None = None,
    ) -> None:
        """Make `root` if it is not there; nothing is opened yet."""
        root.mkdir(parents=True, exist_ok=True)
        self._root = root
        self._identity = Identity(uid, dimension, fingerprint)
        self._builder = Builder(nice=nice, on_step=on_step)

    def open_current(self) -> tuple[list[Segment], list[str]]:
        """Open the segments in use; drop and describe those that are damaged.

        Everything else under the root is removed. Call it once, before builds.
        """
        problems: list[str] = []
        segments: list[Segment] = []
        try:
            names = read_current(self._root)
        except SegmentDamaged as error:
            problems.append(str(error))
            names = []
        for name in names:
            try:
                segments.append(self.open(self._root / name))
            except SegmentDamaged as error:
                problems.append(str(error))
        kept = [segment.path.name for segment in segments]
        if problems:
            write_current(self._root, kept)
        remove_leftovers(self._root, kept)
        return segments, problems

    def build(self, job: BuildJob) -> Future[BuildResult]:
        """Run `job` in a child process; one at a time.

        Raises:
            BuildFailed: a build is running, or the source is closed.
        """
        return self._builder.start(job)

    def open(self, path: Path) -> Segment:
        """Open and verify one segment; its rows are verified in the background.

        Raises:
            SegmentDamaged: it is not whole, or not of this collection.
        """
        segment = Segment.open(path, self._identity)
        segment.check_in_background()
        return segment

    def discard(self, path: Path) -> None:
        """Take a segment that proved damaged out of use; the next build replaces it."""
        self._builder.withdraw(self._root, path.name)

    def remove(self, path: Path) -> None:
        """Delete the directory of a segment that is no longer in use or open."""
        remove_tree(path)

    def close(self) -> None:
        """End a running child; its future fails."""
        self._builder.close()
