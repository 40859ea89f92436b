"""Pictures that belong together and are no duplicates: kept as a stack.

A raw file beside the picture that the camera made of it, a film beside its still, and
shots within seconds of one another.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import PurePosixPath

import numpy as np

from search_service.analysis.duplicates.grouping import components
from search_service.domain.arrays import F64, I64, Flags
from search_service.domain.metadata import JsonValue

_RAW = frozenset(
    f".{name}"
    for name in (
        *("3fr", "arw", "cr2", "cr3", "dng", "erf", "iiq", "kdc", "mef", "mos", "mrw", "nef"),
        *("nrw", "orf", "pef", "raf", "raw", "rw2", "rwl", "sr2", "srf", "srw", "x3f"),
    )
)
_FILM = frozenset({".mov", ".mp4", ".m4v"})
_EXIF_TIME = "%Y:%m:%d %H:%M:%S"


class StackKind(StrEnum):
    """What a stack is of."""

    RAW = "raw"
    LIVE = "live"
    BURST = "burst"


def by_name(ids: Sequence[str]) -> Iterator[tuple[StackKind, list[int]]]:
    """Yield rows of one name that differ in their ending, one of which is raw or a film."""
    named: dict[str, list[int]] = defaultdict(list)
    for row, id in enumerate(ids):
        path = PurePosixPath(id)
        if path.suffix:
            named[str(path.with_suffix("")).casefold()].append(row)
    for rows in named.values():
        endings = {PurePosixPath(ids[row]).suffix.casefold() for row in rows}
        if len(endings) > 1 and endings & _FILM:
            yield StackKind.LIVE, rows
        elif len(endings) > 1 and endings & _RAW and endings - _RAW:
            yield StackKind.RAW, rows


def bursts(first: I64, second: I64, times_s: F64, within_s: float) -> Iterator[list[int]]:
    """Yield rows that are near and were taken within `within_s` of one another, in order."""
    apart = np.abs(times_s[first] - times_s[second])
    close: Flags = apart <= within_s  # NaN, a time that is not known, is not
    for rows in components(first[close], second[close], len(times_s)):
        yield rows[np.argsort(times_s[rows], kind="stable")].tolist()


def time_s(value: JsonValue) -> float:
    """Return a capture time in seconds; NaN where it is none.

    A number counts seconds since 1970; a text is RFC 3339 or as EXIF has it.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return float("nan")
    if not isinstance(value, str):
        return float(value)
    for read in (datetime.fromisoformat, _from_exif):
        try:
            moment = read(value)
        except ValueError:
            continue
        # Without an offset they still tell how far apart two shots of one camera are.
        return moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()
    return float("nan")


def _from_exif(text: str) -> datetime:
    return datetime.strptime(text, _EXIF_TIME)
