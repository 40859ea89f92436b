"""What is measured of the data directory's disk."""

from __future__ import annotations

from pathlib import Path

from prometheus_client import CollectorRegistry

from search_service.metrics import DataDirectory


def test_it_tells_what_the_disk_has_left_and_when_writes_are_refused(tmp_path: Path) -> None:
    registry = CollectorRegistry()
    registry.register(DataDirectory(tmp_path, 1_000))
    free = registry.get_sample_value("lookalike_data_free_bytes")
    size = registry.get_sample_value("lookalike_data_size_bytes")

    assert free is not None
    assert size is not None
    assert 0 <= free <= size
    assert registry.get_sample_value("lookalike_unindexed_limit") == 1_000


def test_a_disk_that_is_gone_leaves_the_other_metrics(tmp_path: Path) -> None:
    registry = CollectorRegistry()
    registry.register(DataDirectory(tmp_path / "gone", 1_000))

    assert registry.get_sample_value("lookalike_data_free_bytes") is None
    assert registry.get_sample_value("lookalike_unindexed_limit") == 1_000
