"""Labels that items might have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LabelSuggestion:
    """A label that most of an item's labelled neighbours vote for.

    `confidence` is how often votes as clear are right among the labelled items, `share`
    the share of the votes. `second` has the second most votes ("" where all agree);
    `present` is the label that the item has ("" where it has none).
    """

    id: str
    label: str
    confidence: float
    share: float
    second: str
    present: str


@dataclass(frozen=True, slots=True)
class LabelSuggestions:
    """Suggestions, and what they rest on.

    Of `items`, `labelled` have one of `labels` labels; `accuracy` is the share of those
    whose neighbours vote for the label that they have.
    """

    items: int
    labelled: int
    labels: int
    accuracy: float
    suggestions: Sequence[LabelSuggestion]
