"""Acceptances and outcomes, in any order."""

from collections.abc import Callable

import pytest

from lookalike.wire.errors import ImageUnreadable, Reason, Unavailable
from lookalike_client.indexing.ledger import FileFailure, Ledger, Outcomes, Tally
from lookalike_client.types import Acceptance, MutationResult, MutationStatus, NearDuplicate

BAD = ImageUnreadable("damaged")
LOST = Unavailable("forgotten", reason=Reason.INGEST_LOST)


def outcome(
    version: int, status: MutationStatus = MutationStatus.APPLIED, item_id: str = "a"
) -> MutationResult:
    error = BAD if status is MutationStatus.FAILED else None
    return MutationResult(item_id, status, version, error)


@pytest.mark.parametrize("outcome_first", [True, False])
def test_an_item_is_done_when_both_are_known(outcome_first: bool) -> None:
    ledger = Ledger()
    steps: list[Callable[[], None]] = [
        lambda: ledger.accept(Acceptance("a", 5)),
        lambda: ledger.end(outcome(5)),
    ]

    for step in reversed(steps) if outcome_first else steps:
        assert ledger.stored == 0
        step()

    assert ledger.tally() == Tally(unchanged=0, queued=1, done=1, failed=0)
    assert ledger.all_ended()
    assert ledger.stored == 1


def test_the_outcome_of_an_earlier_sending_does_not_count() -> None:
    ledger = Ledger()
    ledger.accept(Acceptance("a", 6))

    ledger.end(outcome(5))
    assert not ledger.all_ended()

    ledger.end(outcome(6, MutationStatus.FAILED))
    assert ledger.all_ended()
    assert [failure.error for failure in ledger.failures] == [BAD]
    assert ledger.stored == 0


def test_being_outranked_is_no_failure() -> None:
    ledger = Ledger()
    ledger.accept(Acceptance("a", 5))

    ledger.end(outcome(9, MutationStatus.SUPERSEDED))

    assert (ledger.stored, ledger.failures) == (1, [])


def test_refused_and_unchanged_files_are_counted() -> None:
    ledger = Ledger()
    ledger.leave_out()
    ledger.accept(Acceptance("b", 0, BAD))
    ledger.accept(Acceptance("a", 0, BAD))

    assert ledger.tally() == Tally(unchanged=1, queued=0, done=0, failed=2, refused=2)
    assert [failure.id for failure in ledger.sorted_failures()] == ["a", "b"]
    assert ledger.all_ended()


def test_a_rejected_duplicate_is_done_but_not_stored() -> None:
    ledger = Ledger()
    ledger.accept(Acceptance("a", 1))

    near = NearDuplicate("other", 0.93)
    ledger.end(MutationResult("a", MutationStatus.REJECTED_DUPLICATE, 1, None, near))

    assert ledger.outcomes() == Outcomes(unchanged=0, stored=0, rejected=1, failed=0, waiting=0)
    (duplicate,) = ledger.duplicates
    assert (duplicate.of, duplicate.stored) == ("other", False)


def test_each_file_has_one_outcome() -> None:
    ledger = Ledger(failures=[FileFailure("no-id", BAD)])
    for _ in range(3):
        ledger.leave_out()
    ledger.accept(Acceptance("refused", 0, BAD))
    for item_id in ("stored", "bad", "twin", "gone", "waits", "lost"):
        ledger.accept(Acceptance(item_id, 1))
    for item_id, status in (
        ("stored", MutationStatus.APPLIED),
        ("bad", MutationStatus.FAILED),
        ("twin", MutationStatus.REJECTED_DUPLICATE),
        ("gone", MutationStatus.NOT_FOUND),
    ):
        ledger.end(outcome(1, status, item_id))
    ledger.end(MutationResult("lost", MutationStatus.FAILED, 1, LOST))

    assert ledger.outcomes() == Outcomes(
        unchanged=3, stored=1, rejected=1, failed=4, waiting=1, lost=1
    )
    assert ledger.tally() == Tally(unchanged=3, queued=6, done=5, failed=4, refused=2, lost=1)
    assert ledger.lost == ["lost"]
