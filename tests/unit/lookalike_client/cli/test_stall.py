"""Why an index run stands still."""

from lookalike.wire.errors import Reason, Unavailable
from lookalike_client.cli.stall import STILL_S, StallWatch
from lookalike_client.indexing.ledger import Tally
from lookalike_client.types import IngestStatus, WorkerStatus

TALLY = Tally(unchanged=0, queued=5, done=1, failed=0)


def worker(paused: str) -> WorkerStatus:
    return WorkerStatus("w", 0.1, paused, 0, 0, 0.0, {})


def reason_of(*workers: WorkerStatus) -> str:
    now_s = [0.0]
    status = IngestStatus(5, 5, 0, 1.0, 0, 10, 100, workers)
    watch = StallWatch(lambda: status, lambda: now_s[0])
    assert watch.reason(TALLY) == ""
    now_s[0] = STILL_S - 1
    assert watch.reason(TALLY) == ""
    now_s[0] = STILL_S
    return watch.reason(TALLY)


def test_the_reason_is_the_workers() -> None:
    assert "none is running" in reason_of()
    assert "the embedder is away" in reason_of(worker("the embedder is away"))
    assert reason_of(worker("paused"), worker("")) == ""


def test_a_service_that_is_away_is_the_reason_until_something_moves() -> None:
    def away() -> IngestStatus:
        raise Unavailable("starting", reason=Reason.NOT_READY)

    now_s = [0.0]
    watch = StallWatch(away, lambda: now_s[0])
    watch.reason(TALLY)
    now_s[0] = STILL_S

    assert watch.reason(TALLY) == "waiting for the service: starting"
    assert watch.reason(TALLY) != ""
    assert watch.reason(Tally(unchanged=0, queued=5, done=2, failed=0)) == ""
