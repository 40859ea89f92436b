"""How far a replica is, and who waits."""

from __future__ import annotations

from lookalike.wire.errors import Exhausted, Unavailable
from search_service.cluster.progress import Progress


def test_what_is_being_applied_counts_as_reached() -> None:
    progress = Progress()
    progress.advance(5)
    progress.begin(9)

    assert (progress.position, progress.reached) == (5, 9)
    progress.advance(9)
    progress.begin(7)  # a snapshot put it elsewhere meanwhile
    assert progress.reached == 9


def test_who_waits_is_told() -> None:
    progress = Progress()
    early, late = progress.reach(3), progress.reach(8)
    progress.advance(4)

    assert early.result(0) is None
    progress.end()
    assert isinstance(late.exception(0), Unavailable)
    assert isinstance(progress.reach(9).exception(0), Unavailable)


def test_those_who_gave_up_make_room_and_more_are_refused() -> None:
    progress = Progress()
    given_up = [progress.reach(1) for _ in range(10_000)]
    assert isinstance(progress.reach(1).exception(0), Exhausted)
    for each in given_up:
        each.cancel()

    waiting = progress.reach(1)
    assert not waiting.done()
    progress.advance(1)
    assert waiting.exception(0) is None
