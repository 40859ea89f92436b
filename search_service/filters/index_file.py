"""The metadata index in a file, so that a start need not read every item.

    magic, format version, length of the header
    header    JSON: collection, token, and where the sections lie
    body      sections, each from a multiple of 8 bytes on
    SHA-256   of all before

The file is a cache of the store: what is missing, damaged, of another format or
collection is refused and the index rebuilt. What the store has changed since is
told by `search_service/shard/metadata/filter_log.py`, by the token of the save.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pyroaring import BitMap

from search_service.domain.conditions import FieldPath
from search_service.durable_files import SYNC_EVERY_BYTES, write_durably
from search_service.filters.column import Column
from search_service.filters.elements import Elements
from search_service.filters.index import Frozen, MetadataIndex
from search_service.filters.inverted import InvertedValues
from search_service.filters.keys import Keys, NumberKeys, TextKeys
from search_service.filters.sorted_values import Settled, SortedValues

# Also to be raised when metadata is flattened or read otherwise than before.
FORMAT_VERSION = 3
_MAGIC = b"LKMETAIX"
_PREAMBLE = struct.Struct("<8sIIQ")  # magic, version, zero, bytes of the header
_ALIGNMENT = 8
_CHECKSUM_BYTES = 32


class IndexFileUnusable(Exception):
    """The file is missing, damaged, or of another format or collection: rebuild."""


@dataclass(frozen=True, slots=True)
class LoadedSnapshot:
    """An index as it was at the save that has `token`."""

    index: MetadataIndex
    token: str


def save_index(frozen: Frozen, path: Path, *, collection_uid: str, token: str) -> None:
    """Write `frozen` to `path`: through a temporary file, fsynced, renamed.

    The whole is held in memory once more: about 130 bytes an item of ten fields.

    Raises:
        OSError: the disk is full or failing; an earlier file is left as it was.
    """
    body = _Body()
    everything, columns, elements = frozen
    header = {
        "collection_uid": collection_uid,
        "token": token,
        "everything": body.bitmaps([everything]),
        "columns": _columns_header(columns, body),
        "elements": {
            "owners": body.add(elements.owners[: elements.used].tobytes()),
            "parents": body.add(elements.parents[: elements.used].tobytes()),
            "columns": _columns_header(list(elements.columns.items()), body),
            "standing": _by_path(elements.standing, body),
            "plain": _by_path(elements.plain, body),
        },
    }
    encoded = json.dumps(header, ensure_ascii=True).encode()
    encoded += b" " * (-(_PREAMBLE.size + len(encoded)) % _ALIGNMENT)
    preamble = _PREAMBLE.pack(_MAGIC, FORMAT_VERSION, 0, len(encoded))
    write_durably(path, _with_checksum([preamble, encoded, *body.parts]))


def load_index(path: Path, *, collection_uid: str) -> LoadedSnapshot:
    """Read what `save_index` wrote.

    Raises:
        IndexFileUnusable: with what is wrong.
    """
    header, sections = _read_checked(path)
    if header["collection_uid"] != collection_uid:
        raise IndexFileUnusable("the file belongs to another collection")
    (everything,) = sections.bitmaps(header["everything"])
    columns = _columns_from(header["columns"], sections)
    elements = _elements_from(header["elements"], sections)
    return LoadedSnapshot(MetadataIndex(everything, columns, elements), header["token"])


class _Body:
    """Sections in the making; a section is named by its place and length in bytes."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self._bytes = 0

    def add(self, data: bytes) -> list[int]:
        section = [self._bytes, len(data)]
        padding = -len(data) % _ALIGNMENT
        self.parts += [data, b"\0" * padding] if padding else [data]
        self._bytes += len(data) + padding
        return section

    def bitmaps(self, bitmaps: Sequence[BitMap]) -> list[list[int]]:
        data = [bitmap.serialize() for bitmap in bitmaps]
        lengths = np.array([len(each) for each in data], np.int64)
        return [self.add(lengths.tobytes()), self.add(b"".join(data))]

    def keys(self, keys: Keys[Any]) -> list[list[int]]:
        if isinstance(keys, TextKeys):
            arrays = (keys.offsets.tobytes(), keys.starts.tobytes())
            return [self.add(keys.blob), *map(self.add, arrays)]
        assert isinstance(keys, NumberKeys), "keys are texts or numbers"
        return [self.add(keys.array.tobytes())]


class _Sections:
    """The body of a file that was read and checked."""

    def __init__(self, body: memoryview) -> None:
        self._body = body

    def get(self, section: list[int]) -> bytes:
        start, length = section
        return bytes(self._body[start : start + length])

    def array(self, section: list[int], dtype: type[np.generic]) -> Any:
        return np.frombuffer(self.get(section), dtype)

    def bitmaps(self, sections: list[list[int]]) -> list[BitMap]:
        ends = np.cumsum(self.array(sections[0], np.int64)).tolist()
        data = self.get(sections[1])
        starts = [0, *ends][:-1]
        return [BitMap.deserialize(data[a:b]) for a, b in zip(starts, ends, strict=True)]

    def keys(self, kind: str, sections: list[list[int]]) -> Keys[Any]:
        if kind == "texts":
            blob, offsets, starts = sections
            return TextKeys(
                self.get(blob), self.array(offsets, np.int64), self.array(starts, np.int64)
            )
        return NumberKeys(self.array(sections[0], np.float64 if kind == "numbers" else np.int64))


_KINDS = ("texts", "numbers", "instants")


def _columns_header(columns: list[tuple[FieldPath, Column]], body: _Body) -> list[dict[str, Any]]:
    return [{"path": path, **_column_header(column, body)} for path, column in columns]


def _by_path(held: dict[FieldPath, BitMap], body: _Body) -> dict[str, Any]:
    return {"paths": list(held), "bitmaps": body.bitmaps(list(held.values()))}


def _columns_from(entries: list[dict[str, Any]], sections: _Sections) -> dict[FieldPath, Column]:
    return {tuple(entry["path"]): _column_from(entry, sections) for entry in entries}


def _elements_from(header: dict[str, Any], sections: _Sections) -> Elements:
    elements = Elements(  # copies: what is read cannot be written to
        sections.array(header["owners"], np.uint32).copy(),
        sections.array(header["parents"], np.uint32).copy(),
    )
    elements.columns = _columns_from(header["columns"], sections)
    elements.standing = _bitmaps_from(header["standing"], sections)
    elements.plain = _bitmaps_from(header["plain"], sections)
    return elements


def _bitmaps_from(entry: dict[str, Any], sections: _Sections) -> dict[FieldPath, BitMap]:
    return dict(zip(map(tuple, entry["paths"]), sections.bitmaps(entry["bitmaps"]), strict=True))


def _column_header(column: Column, body: _Body) -> dict[str, Any]:
    header: dict[str, Any] = {"bitmaps": body.bitmaps([column.present, column.true, column.false])}
    for kind, values in zip(_KINDS, column.kinds, strict=True):
        form = values.form
        if isinstance(form, SortedValues):
            settled = form.resettled().settled
            header[kind] = {
                "keys": body.keys(settled.keys),
                "ordinals": body.add(settled.ordinals.tobytes()),
            }
        elif len(form):
            pairs = sorted(form.items(), key=lambda pair: pair[0])
            keys = values.make_keys([key for key, _ in pairs], [1] * len(pairs))
            header[kind] = {
                "keys": body.keys(keys),
                "bitmaps": body.bitmaps([bitmap for _, bitmap in pairs]),
            }
    return header


def _column_from(header: dict[str, Any], sections: _Sections) -> Column:
    column = Column()
    column.present, column.true, column.false = sections.bitmaps(header["bitmaps"])
    for kind, values in zip(_KINDS, column.kinds, strict=True):
        form = header.get(kind)
        if form is None:
            continue
        keys = sections.keys(kind, form["keys"])
        if "ordinals" in form:
            ordinals = sections.array(form["ordinals"], np.uint32)
            values.form = SortedValues(Settled(keys, ordinals))
        else:
            bitmaps = sections.bitmaps(form["bitmaps"])
            values.form = InvertedValues(dict(zip(keys.distinct(), bitmaps, strict=True)))
    return column


def _read_checked(path: Path) -> tuple[dict[str, Any], _Sections]:
    try:
        data = memoryview(path.read_bytes())
    except OSError as error:
        raise IndexFileUnusable("the file cannot be read") from error
    if len(data) < _PREAMBLE.size + _CHECKSUM_BYTES:
        raise IndexFileUnusable("the file is cut short")
    magic, version, _, header_bytes = _PREAMBLE.unpack(data[: _PREAMBLE.size])
    if magic != _MAGIC or version != FORMAT_VERSION:
        raise IndexFileUnusable("the file has another format")
    content, checksum = data[:-_CHECKSUM_BYTES], data[-_CHECKSUM_BYTES:]
    if hashlib.sha256(content).digest() != checksum:
        raise IndexFileUnusable("the checksum does not match")
    end = _PREAMBLE.size + header_bytes
    return json.loads(bytes(content[_PREAMBLE.size : end])), _Sections(content[end:])


def _with_checksum(parts: Sequence[bytes]) -> Iterator[bytes | memoryview]:
    """Give the parts piece by piece, and their checksum."""
    checksum = hashlib.sha256()
    for part in parts:
        for start in range(0, len(part), SYNC_EVERY_BYTES):
            piece = memoryview(part)[start : start + SYNC_EVERY_BYTES]
            checksum.update(piece)
            yield piece
    yield checksum.digest()
