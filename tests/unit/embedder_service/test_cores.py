"""A container's bound on processors counts, not the machine's number of them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from embedder_service import cores

ALL = len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("files", "usable"),
    [
        ({}, ALL),
        ({"cpu.max": "max 100000\n"}, ALL),
        ({"cpu.max": "100000 100000\n"}, 1),
        ({"cpu.max": "20000 100000\n"}, 1),
        ({"cpu.max": "150000 100000\n"}, min(ALL, 2)),
        ({"cpu.max": f"{(ALL + 3) * 100_000} 100000\n"}, ALL),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, ALL),
        ({"cpu/cpu.cfs_quota_us": "50000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 1),
    ],
)
def test_the_quota_of_the_control_group_bounds_what_is_used(
    files: dict[str, str], usable: int, tmp_path: Path
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert cores.usable(tmp_path) == usable
