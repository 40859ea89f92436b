"""Log lines as JSON for machines or as text for people, on standard error."""

from __future__ import annotations

import json
import logging
import sys
import time

from lookalike.wire import request_ids
from lookalike.wire.traces import spans

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def configure(level: str, *, json: bool) -> None:
    """Send the log to standard error; replaces earlier handlers.

    Raises:
        ValueError: `level` is none of debug, info, warning, error.
    """
    number = logging.getLevelNamesMapping().get(level.upper())
    if number is None:
        raise ValueError(f"log level {level!r}: use debug, info, warning or error")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if json else TextFormatter())
    logging.basicConfig(level=number, handlers=[handler], force=True)


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, extras, the request and its trace."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line."""
        entry: dict[str, object] = {
            "time": _utc(record.created, int(record.msecs)),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_extras(record),
        }
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, default=str, ensure_ascii=False)


class TextFormatter(logging.Formatter):
    """`time level logger: message key=value …`."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line, whatever callers wrote into the names that stand in it."""
        extras = "".join(f" {key}={value}" for key, value in _extras(record).items())
        said = _one_line(f"{record.getMessage()}{extras}")
        line = (
            f"{_utc(record.created, int(record.msecs))} {record.levelname.lower()} "
            f"{record.name}: {said}"
        )
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line


def _one_line(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in text
    )


def _extras(record: logging.LogRecord) -> dict[str, object]:
    # Libraries that have a record factory, such as Ray, add what begins with an underscore.
    extras = {
        key: value
        for key, value in vars(record).items()
        if key not in _STANDARD and not key.startswith("_")
    }
    # A line is written where it is said, within the request and span that are worked for.
    if (request_id := request_ids.current()) and "request_id" not in extras:
        extras["request_id"] = request_id
    if (span := spans.current()) is not None:
        extras["trace_id"], extras["span_id"] = span.trace_id, span.span_id
    return extras


def _utc(seconds: float, milliseconds: int) -> str:
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{stamp}.{milliseconds:03d}Z"
