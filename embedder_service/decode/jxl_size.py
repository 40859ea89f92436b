"""The size of a JPEG XL picture from its header: its decoder knows no way but to decode.

ISO/IEC 18181-1 has the size in the first bits of the codestream; 18181-2 has the boxes
that the codestream may stand in, as a whole (`jxlc`) or in parts (`jxlp`).
"""

from __future__ import annotations

from collections.abc import Iterator

_SIGNATURE = b"\xff\x0a"
# After the signature 3 + 30 bits for the height, 3 for the ratio, 3 + 30 for the width.
_HEAD_BYTES = 2 + 9
_PART_NUMBER_BYTES = 4
# How many bits follow, by the selector of two bits.
_WIDTHS = (9, 13, 18, 30)
_RATIOS = {1: (1, 1), 2: (12, 10), 3: (4, 3), 4: (3, 2), 5: (16, 9), 6: (5, 4), 7: (2, 1)}


def size_px(data: bytes) -> tuple[int, int]:
    """Return width and height, before the picture is turned upright.

    Raises:
        ValueError: the header is not there.
    """
    head = data[:_HEAD_BYTES]
    if not head.startswith(_SIGNATURE):
        head = b""
        for part in _parts(data):
            head += part
            if len(head) >= _HEAD_BYTES:
                break
    if not head.startswith(_SIGNATURE):
        raise ValueError("no codestream")
    bits = _Bits(head[2:_HEAD_BYTES])
    small = bits.take(1)
    height_px = _side(bits, small)
    ratio = bits.take(3)
    if ratio:
        wide, high = _RATIOS[ratio]
        return height_px * wide // high, height_px
    return _side(bits, small), height_px


def _side(bits: _Bits, small: int) -> int:
    return 8 * (1 + bits.take(5)) if small else 1 + bits.take(_WIDTHS[bits.take(2)])


def _parts(data: bytes) -> Iterator[bytes]:
    """Yield the beginning of each part of the codestream."""
    at = 0
    while at + 8 <= len(data):
        length, kind, start = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8], 8
        if length == 1:
            length, start = int.from_bytes(data[at + 8 : at + 16], "big"), 16
        end = at + length if length else len(data)
        if end < at + start:
            return
        if kind == b"jxlp":
            start += _PART_NUMBER_BYTES
        if kind in (b"jxlp", b"jxlc"):
            yield data[at + start : min(end, at + start + _HEAD_BYTES)]
        at = end


class _Bits:
    """Bits of bytes, the least significant first."""

    def __init__(self, data: bytes) -> None:
        self._left = len(data) * 8
        self._value = int.from_bytes(data, "little")

    def take(self, count: int) -> int:
        """Return the next `count` bits as a number.

        Raises:
            ValueError: there are no more.
        """
        if count > self._left:
            raise ValueError("the header is cut short")
        self._left -= count
        taken = self._value & ((1 << count) - 1)
        self._value >>= count
        return taken
