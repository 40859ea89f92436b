"""Lists of PDQ hashes in the forms in which programs for moderation exchange them.

Read, and told apart by what the lines hold:

    HASH                                     a hash a line; "pdq HASH" as `threatexchange
                                             dataset` and `hash` print it
    HASH,QUALITY,NAME                        as `pdq-photo-hasher` prints it
    HASH,anything                            as the tools of pdq/cpp read it
    hash=HASH,norm=…,quality=…,filename=…    as `pdq-photo-hasher --details` prints it
    CSV with a line of names                 as `threatexchange dataset -P --csv` prints it
                                             (signal_type, signal_str, category, tags), or
                                             any with a column for the hash

All stand in github.com/facebook/ThreatExchange: pdq/cpp/io/hashio.cpp,
pdq/cpp/bin/pdq-photo-hasher.cpp, python-threatexchange/threatexchange/cli.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TextIO

from lookalike_client.types import KnownHash

_HASH = re.compile(r"[0-9a-fA-F]{64}")
_HASH_NAMES = ("hash", "pdq_hash", "pdq", "signal_str", "signal", "hash_value", "value")
_QUALITY_NAMES = ("quality", "pdq_quality")
_NAME_NAMES = ("name", "filename", "file_name", "file", "path", "id")
_LABEL_NAMES = ("label", "category", "tags", "collab")
_KIND_NAMES = ("signal_type", "hash_type", "type")
_COLUMNS = ("hash", "quality", "name", "label", "id")
_MOST_QUALITY = 100
# The contract's bound on names and labels.
_MOST_TEXT_BYTES = 512
_MISTAKES_KEPT = 10


class HashListForm(StrEnum):
    """How a list is written: CSV with names, hashes alone, or as `pdq-photo-hasher` prints it."""

    CSV = "csv"
    TEXT = "text"
    HASHER = "hasher"


@dataclass(slots=True)
class HashList:
    """What a list holds; `mistakes` are the first lines that could not be read, and why.

    `bad` counts all of those, `others` what is of another kind than PDQ.
    """

    hashes: list[KnownHash] = field(default_factory=list)
    mistakes: list[str] = field(default_factory=list)
    bad: int = 0
    others: int = 0


def read_hash_list(file: TextIO) -> HashList:
    """Read a list in any of the forms above; empty lines and those that begin with # are none."""
    found = HashList()
    rows = csv.reader(_lines(file))
    columns: dict[str, int] | None = None
    first = True
    while True:
        try:
            row = [cell.strip() for cell in next(rows)]
        except StopIteration:
            return found
        except csv.Error as error:
            _mistake(found, rows.line_num, str(error))
            continue
        if not any(row) or row[0].startswith("#"):
            continue
        if first:
            first = False
            columns = _columns(row)
            if columns is not None:
                continue
        try:
            found.hashes += _named(row, columns, found) if columns is not None else _bare(row)
        except ValueError as error:
            _mistake(found, rows.line_num, str(error))


def write_hash_list(
    hashes: Iterable[KnownHash], file: TextIO, form: HashListForm = HashListForm.CSV
) -> int:
    """Write a list; return how many hashes it holds."""
    count = 0
    writer = csv.writer(file, lineterminator="\n")
    if form is HashListForm.CSV:
        writer.writerow(_COLUMNS)
    for each in hashes:
        count += 1
        quality = "" if each.quality is None else str(each.quality)
        match form:
            case HashListForm.CSV:
                writer.writerow((each.pdq_hash, quality, each.name, each.label, each.id))
            case HashListForm.TEXT:
                file.write(f"{each.pdq_hash}\n")
            case HashListForm.HASHER:
                # Its readers know no quotes: the rest of a line is the name.
                name = " ".join((each.name or each.id or each.label).split())
                file.write(f"{each.pdq_hash},{quality or _MOST_QUALITY},{name}\n")
    return count


def _lines(file: TextIO) -> Iterator[str]:
    for number, line in enumerate(file):
        # What some programs put before UTF-8, and what csv takes for an error.
        yield (line.removeprefix("\ufeff") if not number else line).replace("\0", "")


def _columns(row: Sequence[str]) -> dict[str, int] | None:
    """Return where each column is; None where the first line holds no names."""
    names = [cell.lower().replace(" ", "_").replace("-", "_") for cell in row]
    wanted = {
        "hash": _HASH_NAMES,
        "quality": _QUALITY_NAMES,
        "name": _NAME_NAMES,
        "label": _LABEL_NAMES,
        "kind": _KIND_NAMES,
    }
    found = {
        key: names.index(next(each for each in choices if each in names))
        for key, choices in wanted.items()
        if any(each in names for each in choices)
    }
    return found if "hash" in found else None


def _named(row: Sequence[str], columns: dict[str, int], found: HashList) -> list[KnownHash]:
    cells = {key: row[at] if at < len(row) else "" for key, at in columns.items()}
    if "pdq" not in cells.get("kind", "pdq").lower():
        found.others += 1
        return []
    return [
        KnownHash(
            _hash(cells["hash"]),
            _quality(cells.get("quality", "")),
            _text(cells.get("name", "")),
            _text(cells.get("label", "")),
        )
    ]


def _bare(row: Sequence[str]) -> list[KnownHash]:
    if "=" in row[0]:
        pairs = dict(cell.partition("=")[::2] for cell in row)
        quality = _quality(pairs.get("quality", ""))
        return [KnownHash(_hash(pairs.get("hash", "")), quality, _text(pairs.get("filename", "")))]
    first = row[0].split()
    if len(first) == 2 and first[0].lower() == "pdq":
        row = (first[1], *row[1:])
    # Of the eight orientations of a picture, all on a line, each is a hash.
    hashes = [row[0], *(cell for cell in row[1:] if _HASH.fullmatch(cell))]
    rest = row[len(hashes) :]
    quality = None
    if len(rest) > 1 or (rest and rest[0].isdecimal()):
        quality = _quality(rest[0])
        rest = rest[1:]
    name = _text(",".join(rest))
    return [KnownHash(_hash(each), quality, name) for each in hashes]


def _hash(text: str) -> str:
    if not _HASH.fullmatch(text):
        raise ValueError(f"no PDQ hash of 64 hexadecimal digits: {text[:80]!r}")
    return text.lower()


def _quality(text: str) -> int | None:
    if not text:
        return None
    if not text.isdecimal() or int(text) > _MOST_QUALITY:
        raise ValueError(f"no quality from 0 to {_MOST_QUALITY}: {text[:20]!r}")
    return int(text)


def _text(text: str) -> str:
    """Return text as it can be kept: its first bytes, where it is longer."""
    return text.encode(errors="replace")[:_MOST_TEXT_BYTES].decode(errors="ignore")


def _mistake(found: HashList, line: int, why: str) -> None:
    found.bad += 1
    if len(found.mistakes) < _MISTAKES_KEPT:
        found.mistakes.append(f"line {line}: {why}")
