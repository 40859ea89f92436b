"""Gives mutations their versions, from a sequencer whose bound the store holds."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial

import apsw

from search_service.domain.mutations import Mutation
from search_service.shard.writing.applying import MAX_VERSION
from search_service.store.schema import read_meta, write_meta
from search_service.store.sequencer import Sequencer

RunErrand = Callable[[Callable[[apsw.Connection], None]], "Future[None]"]


def share(one: Versions, other: Versions) -> None:
    """Have two collections give out versions in one order, until they are parted.

    Each store holds a bound of what its own collection gave out and stores, so that it may
    be opened, copied and restored without the other. A bound of what both gave out stands
    in one of them alone: after a start they must be joined again before either gives out
    anything.
    """
    with one.held_back, other.held_back:
        joint = Sequencer(max(one.upto, other.upto))
        one.use(joint)
        other.use(joint)


class Versions:
    """`reserve` is for any thread, `assign` for the writer's, outside of a transaction."""

    def __init__(self, db: apsw.Connection, sequencer: Sequencer) -> None:
        self._db = db
        self._sequencer = sequencer
        # Held while versions are taken, and while others take over the sequencer: nothing
        # is taken from one that was left.
        self.held_back = threading.Lock()
        self._durable = sequencer.upto

    @property
    def upto(self) -> int:
        """A bound of all that was given out."""
        return self._sequencer.upto

    def use(self, sequencer: Sequencer) -> None:
        """Go on with a sequencer whose bound is no less than this one's; `held_back` is held."""
        self._sequencer = sequencer

    def part(self, run: RunErrand) -> None:
        """Go on alone, past all that was given out together; `run` commits the bound."""
        while True:
            bound = self._sequencer.upto
            self._raise(bound, run)
            with self.held_back:
                if self._sequencer.upto == bound:
                    self._sequencer = Sequencer(bound)
                    return

    def reserve(self, count: int, run: RunErrand) -> range:
        """Hand out versions; `run` commits the bound where it has to be raised."""
        while (versions := self._take(count)) is None:
            bound = self._sequencer.proposal(count, seen=0)
            if bound is not None:
                self._raise(bound, run)
                self._extend(bound, seen=0)
        if versions.stop > self._durable:  # the bound stands in the other's store alone
            self._raise(max(versions.stop, self._sequencer.upto), run)
        return versions

    def assign(self, mutations: Sequence[Mutation]) -> list[int]:
        """Give those without a version the next ones, in order."""
        chosen = (one.version for one in mutations if 0 < one.version <= MAX_VERSION)
        seen = max(chosen, default=0)
        count = sum(one.version == 0 for one in mutations)
        while True:
            bound = self._sequencer.proposal(count, seen)
            if bound is not None:
                self._write(bound)
                self._extend(bound, seen)
            taken = self._take(count)
            if taken is not None:
                break
        past = max(taken.stop if count else 0, seen + 1)
        if past > self._durable:
            self._write(max(past, self._sequencer.upto))
        given = iter(taken)
        return [one.version or next(given) for one in mutations]

    def _take(self, count: int) -> range | None:
        with self.held_back:
            return self._sequencer.take(count)

    def _extend(self, bound: int, seen: int) -> None:
        with self.held_back:
            self._sequencer.extend(bound, seen)

    def _raise(self, bound: int, run: RunErrand) -> None:
        run(partial(_write_bound, bound=bound)).result()
        self._durable = max(self._durable, bound)

    def _write(self, bound: int) -> None:
        self._db.execute("BEGIN IMMEDIATE")
        _write_bound(self._db, bound)
        self._db.execute("COMMIT")
        self._durable = max(self._durable, bound)


def _write_bound(db: apsw.Connection, bound: int) -> None:
    # Another thread's bound may have been written first, and be greater.
    write_meta(db, "versions_upto", max(bound, int(read_meta(db, "versions_upto"))))
