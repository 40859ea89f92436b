from __future__ import annotations

from pathlib import Path

import pytest

from search_service.settings import Settings, SettingsInvalid, load


def test_an_option_outranks_the_environment_and_that_the_default() -> None:
    environ = {
        "LOOKALIKE_SEARCH_DATA": "/from/environ",
        "LOOKALIKE_SEARCH_PORT": "7",
        "LOOKALIKE_SEARCH_EMBEDDER": "a:1, b:2",
        "LOOKALIKE_SEARCH_REFLECTION": "true",
    }
    settings = load(["--port", "8"], environ)
    assert settings == Settings(
        data=Path("/from/environ"), port=8, embedders=("a:1", "b:2"), reflection=True
    )
    assert load(["--embedder", "c:3", "--embedder", "d:4"], environ).embedders == ("c:3", "d:4")


def test_a_password_is_not_in_the_repr() -> None:
    settings = load(
        ["--data", "x", "--image-root", "/photos"],
        {"LOOKALIKE_SEARCH_REDIS": "redis://:secret@host"},
    )
    assert settings.ingest is not None
    assert settings.ingest.references.file_roots == (Path("/photos"),)
    assert "secret" not in repr(settings)


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"LOOKALIKE_SEARCH_DATA": "x", "LOOKALIKE_SEARCH_PORT": "-1"},
        {"LOOKALIKE_SEARCH_DATA": "x", "LOOKALIKE_SEARCH_GRACE_S": "nan"},
        {"LOOKALIKE_SEARCH_DATA": "x", "LOOKALIKE_SEARCH_RECALL_SAMPLE_SHARE": "1.5"},
        {"LOOKALIKE_SEARCH_DATA": "x", "LOOKALIKE_SEARCH_LOG_JSON": "perhaps"},
        {"LOOKALIKE_SEARCH_DATA": "x", "LOOKALIKE_SEARCH_TLS_CA": "ca.pem"},
        {"LOOKALIKE_SEARCH_DATA": "x", "LOOKALIKE_SEARCH_UNINDEXED_LIMIT": "20000"},
        {
            "LOOKALIKE_SEARCH_DATA": "x",
            "LOOKALIKE_SEARCH_REDIS": "redis://h",
            "LOOKALIKE_INGEST_MAX_QUEUE_BYTES": "0",
        },
    ],
)
def test_what_cannot_be_is_refused(environ: dict[str, str]) -> None:
    with pytest.raises(SettingsInvalid):
        load([], environ)
