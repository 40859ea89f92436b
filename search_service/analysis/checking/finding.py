"""What a check says of one thing that it looked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

_MOST_EXAMPLES = 5


class Verdict(StrEnum):
    """Whether something is well, perhaps not, or not."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked for; the fields are those of `CheckFinding`."""

    name: str
    verdict: Verdict
    found: str
    value: float | None = None
    advice: str = ""
    field: str = ""
    example_ids: Sequence[str] = ()

    def to_json(self) -> Mapping[str, Any]:
        """Return its JSON form, with a few of the examples."""
        return {**asdict(self), "example_ids": list(self.example_ids)[:_MOST_EXAMPLES]}


def judged(
    name: str,
    verdict: Verdict,
    found: str,
    value: float | None = None,
    *,
    advice: str,
    field: str = "",
    example_ids: Sequence[str] = (),
) -> Finding:
    """Return a finding that has advice only where it is not well."""
    if verdict is Verdict.OK:
        return Finding(name, verdict, found, value, field=field)
    return Finding(name, verdict, found, value, advice, field, example_ids)
