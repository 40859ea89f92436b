from __future__ import annotations

from pathlib import Path

import pytest

from lookalike.serving.settings.reading import SettingsInvalid
from search_service.ingest.settings import IngestSettings, ReferenceSettings
from search_service.settings import Settings, load


def test_an_option_outranks_the_environment_and_that_the_default() -> None:
    environ = {
        "LOOKALIKE_SEARCH_DATA": "/from/environ",
        "LOOKALIKE_SEARCH_PORT": "7",
        "LOOKALIKE_SEARCH_EMBEDDERS": "a:1, b:2",
        "LOOKALIKE_SEARCH_REFLECTION": "true",
    }
    settings = load(["--port", "8"], environ)
    assert settings == Settings(
        data=Path("/from/environ"), port=8, embedders=("a:1", "b:2"), reflection=True
    )
    assert load(["--embedders", "c:3", "--embedders", "d:4"], environ).embedders == ("c:3", "d:4")


def test_ingestion_is_set_with_the_rest() -> None:
    settings = load(
        ["--data", "x", "--image-roots", "/a,/b", "--redis-timeout-s", "2.5"],
        {
            "LOOKALIKE_SEARCH_REDIS": "redis://:secret@host",
            "LOOKALIKE_SEARCH_STARTUP_WAIT_S": "0",
            "LOOKALIKE_SEARCH_MAX_QUEUE_BYTES": "1000",
            "LOOKALIKE_SEARCH_IMAGE_BUCKETS": "s3:x,gs:y",
        },
    )
    assert settings.ingest == IngestSettings(
        redis="redis://:secret@host",
        redis_timeout_s=2.5,
        startup_wait_s=0.0,
        max_queue_bytes=1000,
        references=ReferenceSettings(
            image_roots=(Path("/a"), Path("/b")), image_buckets=("s3:x", "gs:y")
        ),
    )
    assert "secret" not in repr(settings)


def test_without_a_queue_there_is_no_ingestion() -> None:
    assert load(["--data", "x", "--max-watchers", "3"], {}).ingest is None


def test_files_for_tls_are_of_no_use_without_tls() -> None:
    with pytest.raises(SettingsInvalid, match="--redis must begin with rediss:"):
        load(["--data", "x", "--redis", "redis://h", "--redis-tls-ca", __file__], {})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATA", ""),
        ("PORT", "-1"),
        ("GRACE_S", "nan"),
        ("RECALL_SAMPLE_SHARE", "1.5"),
        ("LOG_JSON", "perhaps"),
        ("TLS_CA", __file__),
        ("UNINDEXED_LIMIT", "20000"),
        ("MAX_QUEUE_BYTES", "0"),
        ("MAX_QUEUE_BYTES", "many"),
        ("MAX_FAILURES", "1.5"),
        ("MAX_IMAGE_BYTES", "70000000"),
        ("REDIS_TLS_KEY", __file__),
    ],
)
def test_what_cannot_be_is_refused_by_name(name: str, value: str) -> None:
    environ = {"LOOKALIKE_SEARCH_DATA": "x", "LOOKALIKE_SEARCH_REDIS": "redis://h"}
    with pytest.raises(SettingsInvalid) as caught:
        load([], {**environ, f"LOOKALIKE_SEARCH_{name}": value})
    assert name in str(caught.value).upper().replace("-", "_")
