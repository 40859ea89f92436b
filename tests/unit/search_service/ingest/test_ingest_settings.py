"""Settings of the front door."""

from __future__ import annotations

from pathlib import Path

import pytest

from lookalike.wire.errors import InvalidField
from search_service.ingest.settings import load


def test_values_come_from_the_environment() -> None:
    settings = load(
        {
            "LOOKALIKE_INGEST_MAX_QUEUE_BYTES": "1000",
            "LOOKALIKE_INGEST_FILE_ROOTS": "/a, /b",
            "LOOKALIKE_INGEST_BUCKETS": "s3:x,gs:y",
        },
        redis_url="redis://u:secret@h",
    )
    assert settings.max_queue_bytes == 1000
    assert settings.references.file_roots == (Path("/a"), Path("/b"))
    assert settings.references.buckets == {"s3:x", "gs:y"}
    assert "secret" not in repr(settings)


@pytest.mark.parametrize(
    ("name", "value"),
    [("MAX_QUEUE_BYTES", "many"), ("MAX_QUEUE_BYTES", "-1"), ("MAX_IMAGE_BYTES", "70000000")],
)
def test_wrong_values_are_told_by_name(name: str, value: str) -> None:
    with pytest.raises(InvalidField):
        load({f"LOOKALIKE_INGEST_{name}": value}, redis_url="redis://h")
