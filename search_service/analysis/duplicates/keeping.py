"""Which of a group to keep, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from search_service.analysis.facts import PictureFacts

_LOSSLESS = frozenset({"PNG", "TIFF", "BMP", "RAW"})
# Sizes and sharpness that differ by less are taken as equal.
_SLACK = 1.02
_SHARPER = 1.2


class Reason(StrEnum):
    """What a suggestion rests on; the order is that in which it is asked."""

    REVIEWED = "reviewed"
    WHOLE_FILE = "whole_file"
    RESOLUTION = "resolution"
    LOSSLESS = "lossless"
    FILE_SIZE = "file_size"
    SHARPNESS = "sharpness"
    METADATA = "metadata"
    OLDEST = "oldest"


@dataclass(frozen=True, slots=True)
class Suggestion:
    """The row to keep, and what it has over the others."""

    row: int
    reasons: Sequence[Reason]


def suggest(
    rows: Sequence[int], facts: PictureFacts, metadata_sizes: Sequence[int], kept: frozenset[int]
) -> Suggestion:
    """Choose among `rows`, ascending; those in `kept` were decided on by a person.

    `metadata_sizes` are those of `rows`, in bytes. Each question leaves those that do best;
    the last one is which is the oldest.
    """
    left = list(rows)
    sizes = dict(zip(rows, metadata_sizes, strict=True))
    reasons: list[Reason] = []

    def narrow(reason: Reason, values: Sequence[float], slack: float = 1.0) -> None:
        nonlocal left
        best = max(values)
        better = [row for row, value in zip(left, values, strict=True) if value * slack >= best]
        if len(better) < len(left):
            reasons.append(reason)
        left = better

    narrow(Reason.REVIEWED, [row in kept for row in left])
    narrow(Reason.WHOLE_FILE, [not facts.truncated[row] for row in left])
    pixels = [float(facts.width_px[row] * facts.height_px[row]) for row in left]
    narrow(Reason.RESOLUTION, pixels, _SLACK)
    narrow(Reason.LOSSLESS, [facts.formats[row] in _LOSSLESS for row in left])
    narrow(Reason.FILE_SIZE, [float(facts.size_bytes[row]) for row in left], _SLACK)
    narrow(Reason.SHARPNESS, [float(facts.sharpness[row]) for row in left], _SHARPER)
    narrow(Reason.METADATA, [sizes[row] for row in left])
    if len(left) > 1:
        reasons.append(Reason.OLDEST)
    return Suggestion(left[0], reasons)
