"""Duplicates: groups, stacks, and what people decided."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class DuplicateKind(StrEnum):
    """What two items are to one another, by the cheapest proof.

    `BYTE_IDENTICAL`: equal files. `PIXEL_IDENTICAL`: equal decoded pixels. `COPY`: one was
    made from the other. `UNVERIFIED`: near, and one of them has no grey picture to compare.
    `SIMILAR`: near, and neither was made from the other.
    """

    BYTE_IDENTICAL = "byte_identical"
    PIXEL_IDENTICAL = "pixel_identical"
    COPY = "copy"
    UNVERIFIED = "unverified"
    SIMILAR = "similar"


class KeepReason(StrEnum):
    """What an item that is suggested to be kept has over the others of its group."""

    REVIEWED = "reviewed"
    WHOLE_FILE = "whole_file"
    RESOLUTION = "resolution"
    LOSSLESS = "lossless"
    FILE_SIZE = "file_size"
    SHARPNESS = "sharpness"
    METADATA = "metadata"
    OLDEST = "oldest"


class StackKind(StrEnum):
    """What a stack is of: a raw file and its picture, a film and its still, or a burst."""

    RAW = "raw"
    LIVE = "live"
    BURST = "burst"


class DuplicateVerdict(StrEnum):
    """What was decided on a pair (`DUPLICATE`, `DIFFERENT`) or an item (`KEEP`, `IGNORE`).

    `UNDECIDED` takes back what was decided before.
    """

    UNDECIDED = "undecided"
    DUPLICATE = "duplicate"
    DIFFERENT = "different"
    KEEP = "keep"
    IGNORE = "ignore"


@dataclass(frozen=True, slots=True)
class DuplicateMember:
    """An item of a group.

    `kind`, `score` (cosine) and `agreement` (share of the structure that is the same) say
    what it is to the representative; `kind` is None for that itself. Facts are 0 or empty
    where they are not known. `reviewed`: a decision says that it is a duplicate of another
    of the group; `kept`: one says that it is to be kept. A copy may be `mirrored`, left to
    right, and then turned clockwise by `turned_degrees` (0, 90, 180 or 270), against the
    representative; only where turned copies were asked for.
    """

    id: str
    kind: DuplicateKind | None
    score: float
    agreement: float
    width_px: int
    height_px: int
    size_bytes: int
    sharpness: float
    format: str
    reviewed: bool
    kept: bool
    mirrored: bool = False
    turned_degrees: int = 0


@dataclass(frozen=True, slots=True)
class DuplicateGroup:
    """Items that show the same picture; the first is the one that is suggested to be kept.

    Each was compared with the representative. `reasons` say what the first has over the
    others. `left_out` counts items beyond 10,000, which are not listed.
    """

    representative_id: str
    members: Sequence[DuplicateMember]
    reasons: Sequence[KeepReason]
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class PictureStack:
    """Items that belong together and are no duplicates."""

    kind: StackKind
    ids: Sequence[str]


@dataclass(frozen=True, slots=True)
class DuplicatesReport:
    """The groups of a collection, in the order of their oldest items, and its stacks.

    `newest_version` is the `since_version` of the next search. `without_pictures` items have
    no grey picture, so that their copies are not told from similar pictures. `cut` items
    have more near neighbours than were looked at.
    """

    groups: Sequence[DuplicateGroup]
    stacks: Sequence[PictureStack]
    items: int
    newest_version: int
    threshold: float
    without_pictures: int
    cut: int


@dataclass(frozen=True, slots=True)
class DuplicateDecision:
    """A decision on a pair of items or, where `other_id` is empty, on one."""

    id: str
    verdict: DuplicateVerdict
    other_id: str = ""
    decide_time: datetime | None = None
