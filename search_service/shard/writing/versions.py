"""Gives mutations their versions, from a sequencer whose bound the store holds."""

from __future__ import annotations

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

    What either raises the bound to stands in its own store alone, so that after a start
    they must be joined again before either gives out anything.
    """
    joint = Sequencer(max(one.upto, other.upto))
    one.use(joint)
    other.use(joint)


class Versions:
    """`reserve` is for any thread, `assign` for the writer's, outside of a transaction."""

    def __init__(self, db: apsw.Connection, sequencer: Sequencer) -> None:
        self._db = db
        self._sequencer = sequencer

    @property
    def upto(self) -> int:
        """A bound of all that was given out."""
        return self._sequencer.upto

    def use(self, sequencer: Sequencer) -> None:
        """Go on with a sequencer whose bound is no less than this one's."""
        self._sequencer = sequencer

    def part(self, run: RunErrand) -> None:
        """Go on alone, past all that was given out together; `run` commits the bound."""
        bound = self._sequencer.upto
        run(partial(_write_bound, bound=bound)).result()
        self._sequencer = Sequencer(bound)

    def reserve(self, count: int, run: RunErrand) -> range:
        """Hand out versions; `run` commits the bound where it has to be raised."""
        while (versions := self._sequencer.take(count)) is None:
            bound = self._sequencer.proposal(count, seen=0)
            if bound is not None:
                run(partial(_write_bound, bound=bound)).result()
                self._sequencer.extend(bound, seen=0)
        return versions

    def assign(self, mutations: Sequence[Mutation]) -> list[int]:
        """Give those without a version the next ones, in order."""
        chosen = (one.version for one in mutations if 0 < one.version <= MAX_VERSION)
        seen = max(chosen, default=0)
        count = sum(one.version == 0 for one in mutations)
        while True:
            bound = self._sequencer.proposal(count, seen)
            if bound is not None:
                self._db.execute("BEGIN IMMEDIATE")
                _write_bound(self._db, bound)
                self._db.execute("COMMIT")
                self._sequencer.extend(bound, seen)
            taken = self._sequencer.take(count)
            if taken is not None:
                given = iter(taken)
                return [one.version or next(given) for one in mutations]


def _write_bound(db: apsw.Connection, bound: int) -> None:
    # Another thread's bound may have been written first, and be greater.
    write_meta(db, "versions_upto", max(bound, int(read_meta(db, "versions_upto"))))
