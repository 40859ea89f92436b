"""What may be wrong with a collection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class CheckVerdict(StrEnum):
    """Whether something is well, perhaps not, or not."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class CheckFinding:
    """One thing that was looked for, with what to do where it is not well.

    `value` is `found` as a number: a count, a share or a score; None where nothing could
    be measured. `field` is the metadata field that it is about, or empty.
    """

    name: str
    verdict: CheckVerdict
    found: str
    value: float | None
    advice: str
    field: str
    example_ids: Sequence[str]


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What was looked for in `items`, of which `queries` were searched for."""

    items: int
    queries: int
    findings: Sequence[CheckFinding]

    @property
    def verdict(self) -> CheckVerdict:
        """The worst of the findings."""
        found = {each.verdict for each in self.findings}
        if CheckVerdict.FAIL in found:
            return CheckVerdict.FAIL
        return CheckVerdict.WARN if CheckVerdict.WARN in found else CheckVerdict.OK
