"""A moment of a shard, as a query sees it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from search_service.domain.arrays import I64, Flags
from search_service.limits import MAX_ITEM_VECTORS
from search_service.shard.live.head import HeadView
from search_service.shard.live.matches import Matches
from search_service.shard.live.sealed import Sealed


@dataclass(frozen=True, slots=True)
class LiveView:
    """A moment. `died_at` is int64 [>= upto], `ids` is indexed by ordinal.

    Each live ordinal is a vector's; `item_of`, int64 [>= upto], has the ordinal of its item,
    which is that of the item's first. None while each item has one.
    """

    epoch: int
    upto: int
    items: int
    vectors: int
    died_at: I64
    item_of: I64 | None
    ids: Sequence[str | None]
    head: tuple[HeadView, ...]
    sealed: tuple[Sealed, ...]

    def alive(self, ordinals: I64) -> Flags:
        """Say which of `ordinals`, all below `upto`, are live."""
        flags: Flags = self.died_at[ordinals] > self.epoch
        return flags

    def with_further(self, items: Matches) -> Matches:
        """Return the vectors of matching items, which are known by their first one's ordinals."""
        if self.item_of is None:
            return items
        allowed = items.allowed[self.item_of[: self.upto]]
        allowed &= self.died_at[: self.upto] > self.epoch
        return Matches(np.flatnonzero(allowed), allowed)

    def vectors_of(self, items: I64) -> tuple[I64, I64]:
        """Return the ordinals of all vectors of `items`, int64 [n] ascending, and where those
        of each begin among them: int64 [m] ascending and int64 [n]."""
        counts = np.ones(len(items), dtype=np.int64)
        if self.item_of is not None:
            for place in range(1, MAX_ITEM_VECTORS):
                next_ones = np.minimum(items + place, self.upto - 1)
                more = self.item_of[next_ones] == items
                more &= next_ones == items + place
                if not more.any():
                    break
                counts += more
        starts = np.cumsum(counts) - counts
        ordinals = np.repeat(items - starts, counts) + np.arange(counts.sum())
        return ordinals, starts
