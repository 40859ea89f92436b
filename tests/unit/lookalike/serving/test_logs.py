"""What callers write cannot make lines of a log."""

from __future__ import annotations

import logging

import pytest

from lookalike.serving.logs import JsonFormatter, TextFormatter

FORGED = "a\n2026-01-01T00:00:00.000Z info lookalike.audit: admin call\r\x1b[31m\u2028"


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
