"""What a PNG says about its samples before the first of them comes."""

from __future__ import annotations

_SIGNATURE_BYTES = 8
# Length, name and checksum.
_AROUND_BYTES = 12
_COLOUR_TYPE = 25
# Entries of `sBIT` for colours, by the kind of colour; one for opacity follows.
_COLOURS = {0: 1, 2: 3, 4: 1, 6: 3}
# `sBIT` stands before them.
_LATER = (b"PLTE", b"IDAT")
# Chunks of text may stand before it, of which there may be any number.
_MOST_CHUNKS = 100


def significant_bits(data: bytes) -> int:
    """Return the depth that samples had before they were stored, 0 where it is not told."""
    at = _SIGNATURE_BYTES
    for _ in range(_MOST_CHUNKS):
        length, name = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        if name == b"sBIT":
            count = _COLOURS.get(data[_COLOUR_TYPE], 0)
            return max(data[at + 8 : at + 8 + min(length, count)], default=0)
        if not name or name in _LATER:
            return 0
        at += length + _AROUND_BYTES
    return 0
