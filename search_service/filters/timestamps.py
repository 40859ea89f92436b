"""RFC 3339 timestamps as microseconds since 1970."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_RFC_3339 = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:([Zz])|([+-])(\d\d):(\d\d))",
    re.ASCII,
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
# The years 1 to 9999, also after the offset (google.protobuf.Timestamp).
_LEAST_US = -62_135_596_800_000_000
_GREATEST_US = 253_402_300_799_999_999
_SHORTEST = len("2024-01-01T00:00:00Z")
_LONGEST = len("2024-01-01T00:00:00.123456789+00:00")
_LEAP_SECOND = 60


def parse_rfc3339(text: str) -> int | None:
    """Read a timestamp; None where the text is not one.

    Digits below a microsecond are cut off. A leap second is the start of the
    next minute. An offset is required, as in RFC 3339.
    """
    if not _SHORTEST <= len(text) <= _LONGEST or text[4] != "-":
        return None
    match = _RFC_3339.fullmatch(text)
    if match is None:
        return None
    second = int(match[6])
    leap = second == _LEAP_SECOND
    try:
        moment = datetime(
            int(match[1]),
            int(match[2]),
            int(match[3]),
            int(match[4]),
            int(match[5]),
            59 if leap else second,
            tzinfo=UTC,
        )
    except ValueError:  # the 30th of February, 25 o'clock, year 0
        return None
    epoch_us = (moment - _EPOCH) // _MICROSECOND + (1_000_000 if leap else 0)
    if match[7]:
        epoch_us += int(match[7][:6].ljust(6, "0"))
    if match[9]:
        hours, minutes = int(match[10]), int(match[11])
        if hours > 23 or minutes > 59:
            return None
        offset_us = (hours * 60 + minutes) * 60_000_000
        epoch_us += -offset_us if match[9] == "+" else offset_us
    return epoch_us if _LEAST_US <= epoch_us <= _GREATEST_US else None
