"""The brands by which a file of ISO's media format (ISO 14496-12) says what it is."""

from __future__ import annotations

import struct

_MOST_BYTES = 256


def brands_of(data: bytes) -> frozenset[bytes]:
    """Return the brands of a file's first box, none where it is of another format."""
    if data[4:8] != b"ftyp" or len(data) < 16:
        return frozenset()
    length = min(struct.unpack_from(">I", data)[0], len(data), _MOST_BYTES)
    return frozenset({data[8:12], *(data[at : at + 4] for at in range(16, length, 4))})
