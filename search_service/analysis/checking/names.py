"""Names that were perhaps meant."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

# Nearer than this a name is taken for a slip of another (difflib's ratio).
_NEAR = 0.75


def did_you_mean(name: str, names: Sequence[str]) -> str:
    """Return ` (did you mean "…"?)` with the nearest of `names`, or nothing."""
    folded = {each.casefold(): each for each in names if each != name}
    near = difflib.get_close_matches(name.casefold(), list(folded), n=1, cutoff=_NEAR)
    return f' (did you mean "{folded[near[0]]}"?)' if near else ""
