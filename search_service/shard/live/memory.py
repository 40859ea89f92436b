"""What queries see: which ordinals are live, their ids, the head, the segments.

Every committed group is an epoch. A view remembers the epoch at which it was
taken, and an ordinal is live in it while it died later, so a query needs neither
a lock nor a copy, and an item that is replaced meanwhile shows once, never twice
and never not at all.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from search_service.domain.arrays import F32, I64
from search_service.domain.effects import Added, Effect, Killed
from search_service.shard.live.head import Coded, Head
from search_service.shard.live.sealed import Sealed, newest_codec
from search_service.shard.live.view import LiveView

ALIVE = np.iinfo(np.int64).max
_NONE = (np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64))


class Memory:
    """Changed by one thread at a time, under `lock`; read through views."""

    def __init__(self, dimension: int, beside: Memory | None = None) -> None:
        """`beside`: of the same items, which need not all be here; both change together."""
        self.lock: threading.RLock = threading.RLock() if beside is None else beside.lock
        self.head = Head(dimension)
        self._epoch = 1
        self._items = 0
        self._vectors = 0
        self._upto = 1
        self._died_at: I64 = np.zeros(1_024, dtype=np.int64)
        self._item_of: I64 | None = None if beside is None else np.arange(len(self._died_at))
        self._ids: list[str | None] = [None]
        self._sealed: tuple[Sealed, ...] = ()
        self._readers: dict[int, int] = {}
        # Epochs of views that have ended; a reader that ends waits for no lock.
        self._ended: deque[int] = deque()
        self._graves: deque[tuple[int, int]] = deque()
        self._retired: list[tuple[int, Sealed]] = []

    @property
    def items(self) -> int:
        """How many items there are."""
        return self._items

    @property
    def vectors(self) -> int:
        """How many vectors they have."""
        return self._vectors

    @property
    def sealed(self) -> tuple[Sealed, ...]:
        """The segments in use."""
        return self._sealed

    @property
    def unindexed(self) -> int:
        """Rows that no graph holds, dead ones among them."""
        flat = sum(sealed.nodes for sealed in self._sealed if not sealed.segment.has_graph)
        return len(self.head) + flat

    @property
    def newest_ordinal(self) -> int:
        """The greatest ordinal that was ever given out."""
        return self._upto - 1

    def load(
        self,
        ordinals: I64,
        ids: Sequence[str],
        next_ordinal: int,
        further: tuple[I64, I64] = _NONE,
    ) -> None:
        """Take over what the store holds, before any reader.

        `ordinals` are those of items, int64 [n] ascending; `further` has those of further
        vectors and of the items that these are of, int64 [m] both.
        """
        self._reserve(next_ordinal)
        self._died_at[ordinals] = ALIVE
        by_ordinal = np.full(next_ordinal, None, dtype=np.object_)
        by_ordinal[ordinals] = ids
        if len(further[0]):
            self._died_at[further[0]] = ALIVE
            self._note_items(*further)
            by_ordinal[further[0]] = by_ordinal[further[1]]
        self._ids = by_ordinal.tolist()
        self._items = len(ordinals)
        self._vectors = len(ordinals) + len(further[0])
        self._upto = next_ordinal

    def apply(self, effects: Sequence[Effect]) -> None:
        """Make a committed group visible."""
        added = [effect for effect in effects if isinstance(effect, Added)]
        killed = [effect for effect in effects if isinstance(effect, Killed)]
        dead = [each.ordinal + place for each in killed for place in range(1 + each.further)]
        if added:  # queries need not wait for that
            vectors = np.stack([one for each in added for one in (each.vector, *each.further)])
            coded = self.head.encode(vectors)
        with self.lock:
            epoch = self._epoch + 1
            if added:
                self._add(added, vectors, coded)
            self._died_at[dead] = epoch
            self._graves.extend((epoch, ordinal) for ordinal in dead)
            self._items -= len(killed)
            self._vectors -= len(dead)
            self._epoch = epoch
            self._sweep()

    def adopt(self, sealed: Sequence[Sealed], covered_upto: int) -> None:
        """Use these segments instead, and forget head rows up to `covered_upto`.

        Those that are no longer used come out of `released` in time.
        """
        with self.lock:
            kept = set(map(id, sealed))
            self._epoch += 1
            self._retired += [(self._epoch, old) for old in self._sealed if id(old) not in kept]
            self._sealed = tuple(sealed)
            self.head.drop_upto(covered_upto)
            self.head.codec = newest_codec(sealed)

    def readmit(self, damaged: Sealed, ordinals: I64, vectors: F32) -> None:
        """Drop a segment and search `vectors`, float32 [n, D], in the head instead."""
        with self.lock:
            self.head = self.head.with_rows(ordinals, vectors)
            self._epoch += 1
            self._retired.append((self._epoch, damaged))
            self._sealed = tuple(one for one in self._sealed if one is not damaged)

    def forget_dead(self) -> None:
        """Give back the memory of head rows that were replaced or deleted."""
        with self.lock:
            self.head.forget(lambda ordinals: self._died_at[ordinals] == ALIVE)

    def released(self) -> list[Sealed]:
        """Hand over retired segments that no reader holds any more, to be closed."""
        with self.lock:
            oldest = self._oldest()
            done = [old for epoch, old in self._retired if epoch <= oldest]
            self._retired = [(epoch, old) for epoch, old in self._retired if epoch > oldest]
            return done

    def take_retired(self) -> list[Sealed]:
        """Hand over all retired segments, once there are no readers."""
        with self.lock:
            done, self._retired = [old for _, old in self._retired], []
            return done

    def not_in(self, sealed: Sequence[Sealed], upto_ordinal: int) -> I64:
        """Return the live ordinals up to `upto_ordinal` that `sealed` lacks."""
        with self.lock:
            left = self._died_at[: min(upto_ordinal + 1, self._upto)] == ALIVE
            for one in sealed:
                left[one.ordinals[one.ordinals <= upto_ordinal]] = False
            return np.flatnonzero(left)

    def nowhere_in(self, sealed: Sequence[Sealed]) -> I64:
        """Return the live ordinals that neither `sealed` nor the head holds."""
        with self.lock:
            left = self._died_at[: self._upto] == ALIVE
            for ordinals in (
                *(one.ordinals for one in sealed),
                *(view.ordinals for view in self.head.views()),
            ):
                left[ordinals] = False
            return np.flatnonzero(left)

    def ids_of(self, ordinals: I64) -> list[str | None]:
        """Return the ids of `ordinals`, int64 [n]; None for one that is not live."""
        with self.view() as view:
            known = ordinals < view.upto
            alive = np.zeros(len(ordinals), dtype=np.bool_)
            alive[known] = view.alive(ordinals[known])
            numbers = zip(ordinals.tolist(), alive.tolist(), strict=True)
            return [view.ids[ordinal] if lives else None for ordinal, lives in numbers]

    @contextmanager
    def view(self) -> Iterator[LiveView]:
        """Keep a moment readable for as long as the block runs; its end waits for nothing."""
        with self.lock:
            self._note_ended()
            view = LiveView(
                self._epoch,
                self._upto,
                self._items,
                self._vectors,
                self._died_at,
                self._item_of,
                self._ids,
                self.head.views(),
                self._sealed,
            )
            self._readers[view.epoch] = self._readers.get(view.epoch, 0) + 1
        try:
            yield view
        finally:
            self._ended.append(view.epoch)

    def _oldest(self) -> int:
        """Return the epoch of the oldest reader; the lock is held."""
        self._note_ended()
        return min(self._readers, default=self._epoch)

    def _note_ended(self) -> None:
        while self._ended:
            epoch = self._ended.popleft()
            self._readers[epoch] -= 1
            if not self._readers[epoch]:
                del self._readers[epoch]

    def _add(self, added: Sequence[Added], vectors: F32, coded: Coded | None) -> None:
        """Add vectors, ordinals ascending; float32 [n, D] and their compact form."""
        counts = [1 + len(effect.further) for effect in added]
        items = np.repeat(np.array([effect.ordinal for effect in added], dtype=np.int64), counts)
        ordinals = items + np.concatenate([np.arange(count) for count in counts])
        upto = int(ordinals[-1]) + 1
        self._reserve(upto)
        self._ids.extend([None] * (upto - len(self._ids)))
        for effect, count in zip(added, counts, strict=True):
            self._ids[effect.ordinal : effect.ordinal + count] = [effect.id] * count
        if len(ordinals) > len(added):
            self._note_items(ordinals, items)
        self._died_at[ordinals] = ALIVE
        self._upto = upto
        self._items += len(added)
        self._vectors += len(ordinals)
        self.head.extend(ordinals, vectors, coded)

    def _reserve(self, size: int) -> None:
        # Snapshots keep the array they have: what dies later is live in them.
        if size > len(self._died_at):
            grown: I64 = np.zeros(max(size, 2 * len(self._died_at)), dtype=np.int64)
            grown[: len(self._died_at)] = self._died_at
            self._died_at = grown
            if self._item_of is not None:
                own = np.arange(len(grown))
                own[: len(self._item_of)] = self._item_of
                self._item_of = own

    def _note_items(self, ordinals: I64, items: I64) -> None:
        if self._item_of is None:
            self._item_of = np.arange(len(self._died_at))
        self._item_of[ordinals] = items

    def _sweep(self) -> None:
        # An id may be forgotten once every reader began after its ordinal's death.
        oldest = self._oldest()
        while self._graves and self._graves[0][0] <= oldest:
            self._ids[self._graves.popleft()[1]] = None
