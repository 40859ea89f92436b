"""Which live items meet a filter."""

from __future__ import annotations

from dataclasses import dataclass

from search_service.domain.arrays import I64, Flags


@dataclass(frozen=True, slots=True)
class Matches:
    """What meets a filter: live ordinals int64 [m] ascending, and as flags."""

    ordinals: I64
    allowed: Flags
