"""Points in time as people and programs write them, in microseconds since 1970.

Taken are RFC 3339 and its relatives: a date alone, a space for the T, no seconds, offsets
as +02, +0200 and " UTC" (strftime, PostgreSQL, BigQuery), and the form of EXIF, whose date has
colons. What names no offset is UTC, and a date alone its first moment. Nothing else is a
time: no number, no time of day, no month.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_TIME = re.compile(
    r"(\d{4})(?:-(\d\d)-(\d\d)(?:[Tt ]{clock})?|:(\d\d):(\d\d)(?: {clock})?)".replace(
        "{clock}",
        r"(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?"
        r"(?:[Zz]| ?(?:UTC|([+-])(\d\d)(?::?(\d\d))?))?",
    ),
    re.ASCII,
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
# The years 1 to 9999, also after the offset (google.protobuf.Timestamp).
_LEAST_US = -62_135_596_800_000_000
_GREATEST_US = 253_402_300_799_999_999
_SHORTEST = len("2024-01-01")
_LONGEST = len("2024-01-01T00:00:00.123456789 +00:00")
_LEAP_SECOND = 60
# Where the groups of either form of a date begin: month, day, then those of the clock.
_ISO, _EXIF = 2, 11


def parse_time(text: str) -> int | None:
    """Read a point in time; None where the text is not one.

    Digits below a microsecond are cut off. A leap second is the start of the next minute.
    """
    if not _SHORTEST <= len(text) <= _LONGEST or text[4] not in "-:":
        return None
    match = _TIME.fullmatch(text)
    if match is None:
        return None
    first = _ISO if match[_ISO] else _EXIF
    month, day, hour, minute, second, fraction, sign, offset_h, offset_min = match.group(
        *range(first, first + 9)
    )
    leap = second is not None and int(second) == _LEAP_SECOND
    try:
        moment = datetime(
            int(match[1]),
            int(month),
            int(day),
            int(hour or 0),
            int(minute or 0),
            59 if leap else int(second or 0),
            tzinfo=UTC,
        )
    except ValueError:  # the 30th of February, 25 o'clock, year 0
        return None
    epoch_us = (moment - _EPOCH) // _MICROSECOND + (1_000_000 if leap else 0)
    if fraction:
        epoch_us += int(fraction[:6].ljust(6, "0"))
    if sign:
        hours, minutes = int(offset_h), int(offset_min or 0)
        if hours > 23 or minutes > 59:
            return None
        offset_us = (hours * 60 + minutes) * 60_000_000
        epoch_us += -offset_us if sign == "+" else offset_us
    return epoch_us if _LEAST_US <= epoch_us <= _GREATEST_US else None
