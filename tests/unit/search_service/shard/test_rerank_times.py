"""How long candidates were compared exactly is told with the answer."""

from __future__ import annotations

from search_service.shard.search.reranks import RerankTimes


def test_pieces_that_were_worked_on_together_share_their_time() -> None:
    times = RerankTimes(threads=4)
    assert times.elapsed_s() == 0.0

    times.pieces.extend([2.0, 4.0])
    assert times.elapsed_s() == 3.0
    times.pieces.extend([1.0, 1.0, 4.0, 4.0])
    assert times.elapsed_s() == 4.0


def test_a_block_is_added_also_when_it_fails() -> None:
    times = RerankTimes(threads=1)
    try:
        with times.timed():
            raise KeyError
    except KeyError:
        pass

    assert len(times.pieces) == 1
    assert times.elapsed_s() >= 0
