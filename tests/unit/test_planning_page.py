"""The table of the planning page is what its script prints."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from deploy.ray.plan import Assumptions, item_bytes, plan

ROOT = Path(__file__).parents[2]


def test_the_page_shows_what_the_script_prints() -> None:
    printed = subprocess.run(
        [sys.executable, "deploy/ray/plan.py"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout

    assert printed.strip() in (ROOT / "docs/operation/planning.md").read_text(encoding="utf-8")


def test_more_images_and_replicas_need_more() -> None:
    given = Assumptions()
    small, large = plan(1_000_000, given), plan(200_000_000, given)

    assert small.partitions == 1
    assert large.partitions > 5
    assert large.nodes > small.nodes
    assert large.query_ms > small.query_ms
    twice = plan(200_000_000, Assumptions(replicas=4))
    assert twice.memory_gib == 2 * large.memory_gib
    assert twice.nodes >= 2 * large.nodes - 1


def test_an_item_is_no_smaller_than_its_vector() -> None:
    memory, disk = item_bytes(Assumptions(facts_bytes=0, metadata_bytes=0))

    assert disk > 2 * 4 * 512
    assert memory > 256
