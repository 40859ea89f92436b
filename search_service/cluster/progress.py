"""How far a replica is in its log, and who waits for it to be further."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import Future

from lookalike.wire.errors import Exhausted, Reason, Unavailable
from search_service.domain.mutations import MutationOutcome

# What an entry led to is kept for its writer, who asks at once: for as many as one front has
# under way (`appending.py`), and a second one.
_KEPT_OUTCOMES = 100_000
# Who waits at a time; each holds a call.
_MOST_WAITING = 10_000


class Progress:
    """The position of a replica; may be used from any thread."""

    def __init__(self) -> None:
        self._changed = threading.Lock()
        self._position = 0
        self._begun = 0
        # Up to here no entry is missing: the position, or more, where the log has a gap.
        self._complete_upto = 0
        self._outcomes: OrderedDict[int, MutationOutcome] = OrderedDict()
        self._waiting: list[tuple[int, Future[None]]] = []
        self._ended = False

    @property
    def position(self) -> int:
        """The last entry that is applied durably."""
        return self._position

    @property
    def reached(self) -> int:
        """The last entry that is applied, or was read and is being applied."""
        return max(self._position, self._begun)

    def begin(self, position: int) -> None:
        """Entries up to `position` were read and are going to be applied."""
        self._begun = position

    def is_complete(self, position: int) -> bool:
        """Say whether all entries up to `position` are known to be applied."""
        return position <= self._complete_upto

    def note_complete(self, position: int) -> None:
        """Remember that no entry up to `position` is missing."""
        with self._changed:
            self._complete_upto = max(self._complete_upto, position)

    def reach(self, position: int) -> Future[None]:
        """Return what is resolved once an entry is applied.

        Raises (as the future's exception):
            Exhausted: too many wait.
            Unavailable: the replica is stopping.
        """
        future: Future[None] = Future()
        with self._changed:
            if position <= self._position:
                future.set_result(None)
            elif self._ended:
                future.set_exception(_stopping())
            else:
                if len(self._waiting) >= _MOST_WAITING:
                    self._waiting = [each for each in self._waiting if not each[1].done()]
                if len(self._waiting) >= _MOST_WAITING:
                    future.set_exception(Exhausted("too many wait for the replica"))
                else:
                    self._waiting.append((position, future))
        return future

    def outcomes(self, positions: range) -> list[MutationOutcome | None]:
        """Return what entries led to; None where that is forgotten, after a restart."""
        with self._changed:
            return [self._outcomes.get(position) for position in positions]

    def note_outcomes(self, positions: Sequence[int], outcomes: Sequence[MutationOutcome]) -> None:
        """Keep what entries led to."""
        with self._changed:
            self._outcomes.update(zip(positions, outcomes, strict=True))
            while len(self._outcomes) > _KEPT_OUTCOMES:
                self._outcomes.popitem(last=False)

    def advance(self, position: int) -> None:
        """All entries up to `position` are applied durably."""
        with self._changed:
            self._position = position
            self._complete_upto = max(self._complete_upto, position)
            ready = [future for at, future in self._waiting if at <= position]
            self._waiting = [
                (at, future) for at, future in self._waiting if at > position and not future.done()
            ]
        for future in ready:
            if future.set_running_or_notify_cancel():
                future.set_result(None)

    def end(self) -> None:
        """Tell all who wait that there will be no more."""
        with self._changed:
            self._ended = True
            waiting, self._waiting = self._waiting, []
        for _, future in waiting:
            if future.set_running_or_notify_cancel():
                future.set_exception(_stopping())


def _stopping() -> Unavailable:
    return Unavailable("the replica is stopping", reason=Reason.NOT_READY)
