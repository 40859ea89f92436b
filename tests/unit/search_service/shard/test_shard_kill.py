"""SIGKILL under mixed writes: nothing acknowledged is lost, no deletion comes back."""

from __future__ import annotations

from pathlib import Path

from tests.unit.search_service.shard.kill_check import KillCheck


def test_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    check = KillCheck(tmp_path, seed=3)
    for _ in range(3):
        check.kill_once(0.2, 1.0)
        assert check.check() > 0
    assert check.acknowledged > 100
