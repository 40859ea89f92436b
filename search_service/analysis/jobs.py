"""What an analysis is asked, and what it says on its way; both travel as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any


class Kind(StrEnum):
    """The analyses that there are; each has a function in `kinds.py`."""

    CALIBRATE = "calibrate"
    CHECK = "check"
    CLUSTER = "cluster"
    DUPLICATES = "duplicates"
    EVALUATE = "evaluate"
    SUGGEST_LABELS = "suggest_labels"


@dataclass(frozen=True, slots=True)
class AnalysisJob:
    """A question about the items of a collection.

    `work_path` is an empty directory of its own; what is there afterwards is removed.
    `chosen` is None, or the file of the ordinals that count (int64, ascending).
    `kept_path` is where long ones keep what they have found, for the next to go on from.
    `options` are those of the kind, as its module documents them.
    """

    kind: Kind
    store_path: Path
    segments_path: Path
    work_path: Path
    uid: str
    dimension: int
    fingerprint: str
    threads: int
    chosen: Path | None
    kept_path: Path
    options: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Return its JSON form, as the child gets it."""
        return asdict(self) | {
            "store_path": str(self.store_path),
            "segments_path": str(self.segments_path),
            "work_path": str(self.work_path),
            "chosen": None if self.chosen is None else str(self.chosen),
            "kept_path": str(self.kept_path),
        }

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> AnalysisJob:
        """Return the job whose JSON form this is."""
        chosen = fields["chosen"]
        typed = {
            "kind": Kind(fields["kind"]),
            "store_path": Path(fields["store_path"]),
            "segments_path": Path(fields["segments_path"]),
            "work_path": Path(fields["work_path"]),
            "chosen": None if chosen is None else Path(chosen),
            "kept_path": Path(fields["kept_path"]),
        }
        return cls(**{**fields, **typed})


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a stage is: `done` of `total` of its units; `total` 0 where it is not known."""

    stage: str
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of the answer; the last one ends it."""

    content: Mapping[str, Any]


class Refused(Exception):
    """The collection or the options do not allow an answer; says what to change."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field
        self.message = message
