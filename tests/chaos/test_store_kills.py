"""200 SIGKILLs at random moments under mixed writes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.search_service.shard.kill_check import KillCheck

KILLS = 200


@pytest.mark.chaos
@pytest.mark.timeout(3_600)
def test_nothing_acknowledged_is_lost_in_many_kills(tmp_path: Path) -> None:
    check = KillCheck(tmp_path, seed=11)
    for kill in range(KILLS):
        check.kill_once(0.2, 5.0)
        if kill % 5 == 4:
            check.check()
    assert check.check() > 0
    assert check.acknowledged > 100 * KILLS
