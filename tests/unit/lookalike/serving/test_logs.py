"""A line of the log has what was said, not what a library added, and stays one line."""

from __future__ import annotations

import json
import logging

import pytest

from lookalike.serving.logs import JsonFormatter, TextFormatter

# A name that a caller chose.
FORGED = "a\n2026-01-01T00:00:00.000Z info lookalike.audit: admin call\r\x1b[31m\u2028"
RECORD = logging.makeLogRecord(
    {
        "name": "service",
        "levelname": "INFO",
        "msg": "stored %d",
        "args": (3,),
        "collection": "shoes",
        "_ray_timestamp_ns": 1,
    }
)


def test_as_json() -> None:
    entry = json.loads(JsonFormatter().format(RECORD))
    assert entry.pop("time").endswith("Z")
    assert entry == {
        "level": "info",
        "logger": "service",
        "message": "stored 3",
        "collection": "shoes",
    }


def test_as_text() -> None:
    line = TextFormatter().format(RECORD)
    assert line.partition(" ")[2] == "info service: stored 3 collection=shoes"


@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()])
def test_a_line_stays_a_line(formatter: logging.Formatter) -> None:
    line = logging.makeLogRecord(
        {
            "name": "n",
            "levelname": "INFO",
            "msg": "%s",
            "args": (FORGED,),
            "about": {"name": FORGED},
        }
    )
    vars(line)["alias"] = FORGED
    said = formatter.format(line)

    assert "lookalike.audit" in said
    assert "\x1b" not in said
    assert not {"\n", "\r"} & set(said)


def test_other_letters_stay_as_they_are() -> None:
    line = logging.makeLogRecord({"name": "n", "levelname": "INFO", "msg": "Käse 画像 🙂"})
    assert TextFormatter().format(line).endswith("n: Käse 画像 🙂")
