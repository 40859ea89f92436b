"""Points in time as people and programs write them, as microseconds since 1970.

    2024-05-01                       a date: its midnight
    2024-05-01T10:00:00.5+02:00      RFC 3339; a space may stand for the T
    2024-05-01 10:00                 without seconds, without an offset
    2024:05:01 10:00:00              as cameras write it (Exif)

What has no offset is in UTC. An offset is Z, +02:00, +0200 or +02. T and Z may be
lower case. Nothing else is a time: no time of day alone, no month alone.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_TIME = re.compile(
    r"(\d{4})(?:(-)|:)(\d\d)(?(2)-|:)(\d\d)"
    r"(?:[Tt ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?(?:[Zz]|([+-])(\d\d)(?::?(\d\d))?)?)?",
    re.ASCII,
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
# The years 1 to 9999, also after the offset (google.protobuf.Timestamp).
_LEAST_US = -62_135_596_800_000_000
_GREATEST_US = 253_402_300_799_999_999
_SHORTEST = len("2024-01-01")
_LONGEST = len("2024-01-01T00:00:00.123456789+00:00")
_LEAP_SECOND = 60


def parse_time(text: str) -> int | None:
    """Read a point in time; None where the text is not one.

    Digits below a microsecond are cut off. A leap second is the start of the
    next minute.
    """
    # Most strings are none, and are told by this much.
    if not _SHORTEST <= len(text) <= _LONGEST or text[4] not in "-:" or text[4] != text[7]:
        return None
    match = _TIME.fullmatch(text)
    if match is None:
        return None
    dashes, hour = match[2], match[5]
    if not dashes and hour is None:  # 2024:05:01 alone may be a ratio or a duration
        return None
    second = int(match[7] or 0)
    leap = second == _LEAP_SECOND
    try:
        moment = datetime(
            int(match[1]),
            int(match[3]),
            int(match[4]),
            int(hour or 0),
            int(match[6] or 0),
            59 if leap else second,
            tzinfo=UTC,
        )
    except ValueError:  # the 30th of February, 25 o'clock, year 0
        return None
    epoch_us = (moment - _EPOCH) // _MICROSECOND + (1_000_000 if leap else 0)
    if match[8]:
        epoch_us += int(match[8][:6].ljust(6, "0"))
    if match[9]:
        hours, minutes = int(match[10]), int(match[11] or 0)
        if hours > 23 or minutes > 59:
            return None
        offset_us = (hours * 60 + minutes) * 60_000_000
        epoch_us += -offset_us if match[9] == "+" else offset_us
    return epoch_us if _LEAST_US <= epoch_us <= _GREATEST_US else None
