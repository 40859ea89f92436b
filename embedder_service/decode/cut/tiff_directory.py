"""The first directory of a TIFF: read, and written again with other values."""

from __future__ import annotations

import struct
from dataclasses import dataclass

# Bytes of one value of each type (TIFF 6.0, section 2; BigTIFF adds 16 to 18).
_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8,
               13: 4, 16: 8, 17: 8, 18: 8}  # fmt: skip
_WHOLE = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q"}
_TEXT, _LONG, _LONG8 = 2, 4, 16
_MOST_ENTRIES = 4096


@dataclass(frozen=True, slots=True)
class _Entry:
    kind: int
    count: int
    raw: bytes
    """The field that holds the values, or where they are."""


class Directory:
    """Tags of the first picture of a TIFF, in classic or in BigTIFF form."""

    def __init__(self, data: bytes) -> None:
        """Read it.

        Raises:
            ValueError, struct.error: it is not there, or no TIFF.
        """
        self._data = data
        self._order = {b"II": "<", b"MM": ">"}.get(data[:2], "")
        version = struct.unpack_from(self._order + "H", data, 2)[0] if self._order else 0
        if version not in (42, 43):
            raise ValueError("no TIFF")
        self._big = version == 43
        self._word = "Q" if self._big else "I"
        self._word_bytes = 8 if self._big else 4
        self._header_at = 8 if self._big else 4
        (at,) = struct.unpack_from(self._order + self._word, data, self._header_at)
        counts = "Q" if self._big else "H"
        (entries,) = struct.unpack_from(self._order + counts, data, at)
        if entries > _MOST_ENTRIES:
            raise ValueError("too many tags")
        at += struct.calcsize("=" + counts)
        self._entries: dict[int, _Entry] = {}
        for _ in range(entries):
            tag, kind = struct.unpack_from(self._order + "HH", data, at)
            (count,) = struct.unpack_from(self._order + self._word, data, at + 4)
            value_at = at + 4 + self._word_bytes
            raw = data[value_at : value_at + self._word_bytes]
            self._entries[tag] = _Entry(kind, count, raw)
            at = value_at + self._word_bytes

    def __contains__(self, tag: int) -> bool:
        """Return whether the tag is there, wherever its values lie."""
        return tag in self._entries

    def numbers(self, tag: int) -> list[int]:
        """Return the whole numbers of a tag, none if it is absent or lies past the end."""
        entry = self._entries.get(tag)
        if entry is None or entry.kind not in _WHOLE:
            return []
        body = self._body(entry)
        size = _TYPE_BYTES[entry.kind]
        if len(body) < entry.count * size:
            return []
        return list(struct.unpack(f"{self._order}{entry.count}{_WHOLE[entry.kind]}", body))

    def number(self, tag: int, default: int) -> int:
        """Return the first whole number of a tag."""
        return next(iter(self.numbers(tag)), default)

    def text(self, tag: int) -> str:
        """Return the text of a tag without the zeros at its end, "" if there is none."""
        entry = self._entries.get(tag)
        if entry is None or entry.kind != _TEXT:
            return ""
        return self._body(entry).split(b"\0")[0].decode("ascii", "ignore").strip()

    def rewritten(self, extra: bytes, changes: dict[int, list[int]]) -> bytes:
        """Return the file with `extra` after it, and with other numbers in some tags.

        Tags whose values lie past the end of the file are left out.
        """
        body = bytearray(self._data + extra)
        body += bytes(-len(body) % 8)
        kind, form = (_LONG8, "Q") if self._big else (_LONG, "I")
        entries = {tag: entry for tag, entry in self._entries.items() if self._is_here(entry)}
        for tag, values in changes.items():
            packed = struct.pack(f"{self._order}{len(values)}{form}", *values)
            if len(packed) > self._word_bytes:
                at, packed = len(body), packed + bytes(-len(packed) % 8)
                body += packed
                packed = struct.pack(self._order + self._word, at)
            entries[tag] = _Entry(kind, len(values), packed)
        struct.pack_into(self._order + self._word, body, self._header_at, len(body))
        body += struct.pack(self._order + ("Q" if self._big else "H"), len(entries))
        for tag, entry in sorted(entries.items()):
            body += struct.pack(self._order + "HH" + self._word, tag, entry.kind, entry.count)
            body += entry.raw
        body += bytes(self._word_bytes)
        return bytes(body)

    def _body(self, entry: _Entry) -> bytes:
        size = entry.count * _TYPE_BYTES.get(entry.kind, 1)
        if size <= self._word_bytes:
            return entry.raw[:size]
        (at,) = struct.unpack(self._order + self._word, entry.raw)
        return self._data[at : at + size]

    def _is_here(self, entry: _Entry) -> bool:
        return len(self._body(entry)) == entry.count * _TYPE_BYTES.get(entry.kind, 1)
