"""The progress of an index run where no terminal is."""

import pytest

from lookalike_client.cli.progress import LINE_PERIOD_S, IndexProgress
from lookalike_client.indexing.ledger import Tally


@pytest.mark.parametrize(("wait", "said"), [(True, "3 of 90 files done"), (False, "80 of 90")])
def test_a_line_now_and_then_says_how_far_it_is(
    capsys: pytest.CaptureFixture[str], wait: bool, said: str
) -> None:
    now_s = [100.0]
    tally = Tally(unchanged=10, queued=80, done=3, failed=2)
    with IndexProgress(100, wait=wait, clock_s=lambda: now_s[0]) as progress:
        progress.show(tally)
        assert capsys.readouterr().err == ""
        now_s[0] += LINE_PERIOD_S
        progress.show(tally)
        progress.show(tally)
        (line,) = capsys.readouterr().err.splitlines()
        now_s[0] += LINE_PERIOD_S
        progress.show(tally, "the embedder is away")
        more = capsys.readouterr().err.splitlines()

    assert said in line
    assert "2 failed" in line
    assert ("77 in the queue" in line) is wait
    assert more == ["note: the embedder is away", line]
