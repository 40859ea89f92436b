"""A line of the log has what was said, and not what a library added to the record."""

from __future__ import annotations

import json
import logging

from lookalike.serving.logs import JsonFormatter, TextFormatter

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
