"""Which column of a table is what, where nobody says so."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from lookalike.wire.errors import InvalidField
from lookalike_client.tables import values

ID_NAMES = (
    *("id", "ids", "_id", "item_id", "image_id", "point_id", "uuid", "guid", "pk", "primary_key"),
    *("key", "auto_id", "filename", "file_name", "filepath", "file_path", "image_path", "path"),
    *("file", "image", "url", "uri", "__index_level_0__"),
)
VECTOR_NAMES = (
    *("vector", "vectors", "embedding", "embeddings", "vec", "emb", "image_embedding"),
    *("image_vector", "dense_vector", "features", "feature"),
)
# Objects under these names are metadata as a whole.
SPREAD_NAMES = (
    *("metadata", "metadatas", "payload", "payloads", "$meta", "properties", "attributes", "meta"),
)
# What pandas makes of its row numbers.
_INDEX = re.compile(r"(__index_level_\d+__|Unnamed: \d+|)")
_NUMBERED = re.compile(r"(.*?)(\d+)")
# Shorter lists of numbers are boxes, sizes or tags, unless a name says otherwise.
_LEAST_GUESSED = 8


@dataclass(frozen=True, slots=True)
class VectorColumn:
    """Where vectors stand: a column, a part of one (`path`), or a column a number."""

    name: str
    path: Sequence[str] = ()
    parts: Sequence[str] = ()

    def cell(self, cells: Mapping[str, object]) -> object:
        """Return a row's vector as it stands there."""
        if self.parts:
            found = [cells.get(each) for each in self.parts]
            return [float(each) if isinstance(each, str) else each for each in found]
        return cell_of(cells, self.name)

    @property
    def columns(self) -> Sequence[str]:
        """Return the columns that hold them."""
        return self.parts or [self.path[0] if self.path else self.name]

    def __str__(self) -> str:
        if not self.parts:
            return self.name
        return f"{self.parts[0]} … {self.parts[-1]} ({len(self.parts):,} columns)"


def cell_of(cells: Mapping[str, object], name: str) -> object:
    """Return a cell; `outer.inner` names a part of one, where no column is called so."""
    if name in cells:
        return cells[name]
    inner: object = cells
    for each in name.split("."):
        inner = inner.get(each) if isinstance(inner, Mapping) else None
    return inner


def given_vector(name: str, columns: Sequence[str]) -> VectorColumn:
    """Return the column of a name: also `dim_*` for many, `vector.image` for a part.

    Raises:
        InvalidField: there is none.
    """
    if name in columns:
        return VectorColumn(name)
    if "*" in name:
        parts = [each for each in columns if fnmatchcase(each, name) and each[-1:].isdigit()]
        if parts:
            return VectorColumn(name, parts=sorted(parts, key=_number))
    head, _, _ = name.partition(".")
    if head != name and head in columns:
        return VectorColumn(name, path=name.split("."))
    raise absent("vector", name, columns)


def guess_vector(columns: Sequence[str], sample: Sequence[Mapping[str, object]]) -> VectorColumn:
    """Return the column whose cells are vectors.

    Raises:
        InvalidField: none is, or several are and no name tells.
    """
    found = [VectorColumn(each) for each in columns if _holds_vectors(each, sample)]
    found += [
        VectorColumn(f"{outer}.{inner}", path=(outer, inner))
        for outer in columns
        for inner in _inner_names(outer, sample)
        if _are_vectors(inner, [_part(row.get(outer), inner) for row in sample])
    ]
    by_name = {each.name.lower(): each for each in found}
    named = [by_name[each] for each in VECTOR_NAMES if each in by_name]
    if named or len(found) == 1:
        return (named or found)[0]
    if found:
        raise InvalidField(
            "vector-column",
            f"{_names([each.name for each in found])} all hold vectors: name the one to take",
        )
    numbered = _numbered(columns, sample)
    if numbered is None:
        raise InvalidField(
            "vector-column", f"no column looks like vectors; there are {_names(columns)}"
        )
    return numbered


def guess_id(
    columns: Sequence[str], sample: Sequence[Mapping[str, object]], taken: Sequence[str]
) -> str:
    """Return the column that names items.

    Raises:
        InvalidField: none looks like it.
    """
    known = {each.lower(): each for each in columns if each not in taken}
    names = [known[each] for each in ID_NAMES if each in known]
    names += [each for each in known.values() if each.lower().endswith("_id")]
    for name in names:
        if _names_items([row.get(name) for row in sample]):
            return name
    raise InvalidField(
        "id-column",
        f"no column looks like ids: name one, or number the rows; there are {_names(columns)}",
    )


def guess_metadata(
    columns: Sequence[str], sample: Sequence[Mapping[str, object]], taken: Sequence[str]
) -> list[str]:
    """Return the columns to store as metadata: all that are neither bytes nor vectors."""
    return [
        each
        for each in columns
        if each not in taken
        and not _INDEX.fullmatch(each)
        and not any(_has_bytes(row.get(each)) for row in sample)
        and not _holds_vectors(each, sample)
    ]


def spreads(column: str, sample: Sequence[Mapping[str, object]]) -> bool:
    """Whether a column's objects are the metadata, not a part of it."""
    cells = [row.get(column) for row in sample if row.get(column) is not None]
    return column.lower() in SPREAD_NAMES and all(map(_spreadable, cells))


def absent(what: str, name: str, columns: Sequence[str]) -> InvalidField:
    """Return the error for a column that is named and not there."""
    return InvalidField(
        f"{what}-column", f"there is no column {name!r}; there are {_names(columns)}"
    )


def _spreadable(cell: object) -> bool:
    pairs = isinstance(cell, list) and all(isinstance(each, tuple) for each in cell)
    return values.is_object(cell) or pairs


def _holds_vectors(column: str, sample: Sequence[Mapping[str, object]]) -> bool:
    return _are_vectors(column, [row.get(column) for row in sample])


def _are_vectors(name: str, cells: Sequence[object]) -> bool:
    named = name.lower() in VECTOR_NAMES
    present = [each for each in cells if each is not None]
    if not named and any(isinstance(each, bytes) for each in present):
        return False  # as likely a picture
    lengths = [0 if found is None else len(found) for found in map(values.vector, present)]
    most = max(set(lengths), key=lengths.count, default=0)
    alike = lengths.count(most) * 2 > len(lengths)
    return alike and most >= (2 if named else _LEAST_GUESSED)


def _inner_names(column: str, sample: Sequence[Mapping[str, object]]) -> list[str]:
    found: dict[str, None] = {}
    for row in sample:
        cell = row.get(column)
        found.update(dict.fromkeys(cell) if isinstance(cell, Mapping) else {})
    return list(found)


def _part(cell: object, name: str) -> object:
    return cell.get(name) if isinstance(cell, Mapping) else None


def _numbered(
    columns: Sequence[str], sample: Sequence[Mapping[str, object]]
) -> VectorColumn | None:
    """Return the longest run of columns such as dim_0, dim_1, … that hold numbers."""
    groups: dict[str, list[str]] = {}
    for column in columns:
        match = _NUMBERED.fullmatch(column)
        if match and all(_is_number(row.get(column)) for row in sample):
            groups.setdefault(match[1], []).append(column)
    for names in groups.values():
        names.sort(key=_number)
    whole = [each for each in groups.values() if _number(each[-1]) - _number(each[0]) < len(each)]
    longest = max(whole, key=len, default=[])
    return VectorColumn(longest[0], parts=longest) if len(longest) >= _LEAST_GUESSED else None


def _number(column: str) -> int:
    match = re.search(r"\d+$", column)
    return int(match[0]) if match else 0


def _is_number(cell: object) -> bool:
    if isinstance(cell, str):
        try:
            float(cell)
        except ValueError:
            return False
        return True
    return cell is None or (isinstance(cell, int | float) and not isinstance(cell, bool))


def _names_items(cells: Sequence[object]) -> bool:
    """Whether cells can be ids: most are there, and no two rows share most of them."""
    found = []
    for cell in cells:
        try:
            found.append(values.item_id(cell))
        except InvalidField:
            continue
    return 2 * len(found) > len(cells) and 2 * len(set(found)) > len(found)


def _has_bytes(cell: object) -> bool:
    if isinstance(cell, Mapping):
        return any(map(_has_bytes, cell.values()))
    return isinstance(cell, bytes)


def _names(columns: Sequence[str], most: int = 12) -> str:
    shown = ", ".join(columns[:most])
    return shown + (f" and {len(columns) - most:,} more" if len(columns) > most else "")
