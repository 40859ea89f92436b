"""Until when a certificate is good. The standard library tells it of a peer's alone."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

_PEM = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_SEQUENCE, _VERSION, _UTC_TIME, _TIME = 0x30, 0xA0, 0x17, 0x18


def expire_times(path: Path) -> list[datetime]:
    """Return when each certificate of a PEM file expires, in the order in which they stand.

    Raises:
        OSError: the file cannot be read.
        ValueError: it holds none, or one that is damaged.
    """
    blocks = _PEM.findall(path.read_text(encoding="ascii", errors="replace"))
    if not blocks:
        raise ValueError("holds no certificate")
    return [expire_time(ssl.PEM_cert_to_DER_cert(block)) for block in blocks]


def expire_time(der: bytes) -> datetime:
    """Return when a certificate expires (RFC 5280, section 4.1: the end of its validity).

    Raises:
        ValueError: it is damaged.
    """
    ((_, certificate),) = _parts(der)
    (_, signed), *_ = _parts(certificate)
    fields = [part for part in _parts(signed) if part[0] != _VERSION]
    # Serial number, algorithm, issuer, validity.
    if len(fields) < 4 or fields[3][0] != _SEQUENCE:
        raise ValueError("no certificate")
    ends = list(_parts(fields[3][1]))
    if len(ends) != 2:
        raise ValueError("no certificate")
    kind, text = ends[1]
    said = text.decode("ascii")
    if kind == _UTC_TIME:  # two digits of the year, of 1950 to 2049
        said = f"{'19' if said >= '50' else '20'}{said}"
    elif kind != _TIME:
        raise ValueError("no certificate")
    return datetime.strptime(said, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)


def _parts(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield tag and content of each value in DER.

    Raises:
        ValueError: one reaches past the end.
    """
    at = 0
    while at < len(data):
        if at + 2 > len(data):
            raise ValueError("cut short")
        tag, length = data[at], data[at + 1]
        at += 2
        if length & 0x80:
            digits = length & 0x7F
            length = int.from_bytes(data[at : at + digits], "big")
            at += digits
        if at + length > len(data):
            raise ValueError("cut short")
        yield tag, data[at : at + length]
        at += length
