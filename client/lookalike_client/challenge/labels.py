"""Which images a table of labels is about, and what it says of them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lookalike.wire.errors import InvalidField
from lookalike_client.indexing import matching, metadata_csv
from lookalike_client.indexing.matching import examples
from lookalike_client.indexing.metadata_csv import Row
from lookalike_client.indexing.scan import FileEntry, Scan, printable, scan

FIELD = "labels"

# Names of the columns, in lower case without what separates words.
_LABELS = ("label", "category", "class")
_SUBLABELS = ("sublabel", "subcategory", "subclass")
_SEPARATORS = re.compile(r"[\W_]+")
# Values that filters can compare with, in UTF-8; far beyond any label.
_MOST_BYTES = 512


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Files or rows that take no part, by why."""

    why: str
    names: Sequence[str]


@dataclass(frozen=True, slots=True)
class LabelledImages:
    """Files with the label and the sub-label of each, by id; a sub-label may be missing.

    `label_column` and `sublabel_column` are the table's names; the latter is empty where
    the table has none.
    """

    files: Sequence[FileEntry]
    labels: dict[str, str]
    sublabels: dict[str, str]
    label_column: str
    sublabel_column: str
    left_out: list[LeftOut] = field(default_factory=list)


def read_labelled(
    folder: Path, table: Path, *, label_column: str | None, sublabel_column: str | None
) -> LabelledImages:
    """Find the images of a folder, and their labels in a table.

    Raises:
        InvalidField: the table cannot be used, or hardly any row means an image.
        OSError: the table cannot be read.
    """
    found = scan([folder], base=Path.cwd())
    try:
        rows = metadata_csv.read(table, as_text=True)
        matches = matching.match(
            rows,
            found.files,
            others=found.others,
            folders=(folder, folder.parent, table.parent, Path.cwd()),
        )
    except InvalidField as error:
        raise InvalidField(FIELD, error.message) from error
    _check_images(found, folder)
    if matches.mostly_strangers:
        raise InvalidField(FIELD, f"{matches.describe()}. Name the folder that the table is about")
    label, sublabel = _columns(rows, label_column, sublabel_column)
    left_out = [
        *_skipped(found),
        LeftOut("rows of the table without an image", matches.unmatched_rows),
        LeftOut("images without a row in the table", matches.files_without_row),
    ]
    labels: dict[str, str] = {}
    sublabels: dict[str, str] = {}
    unlabelled = []
    for file in found.files:
        said = matches.metadata.get(file.id)
        if said is None:
            continue
        if not (value := str(said.get(label, "")).strip()):
            unlabelled.append(printable(file.key))
            continue
        labels[file.id] = _checked(value, label, file)
        if sublabel and (value := str(said.get(sublabel, "")).strip()):
            sublabels[file.id] = _checked(value, sublabel, file)
    left_out.append(LeftOut(f"images whose {label} is empty", unlabelled))
    if not labels:
        raise InvalidField(FIELD, f'no image has a label in the column "{label}"')
    return LabelledImages(
        files=[file for file in found.files if file.id in labels],
        labels=labels,
        sublabels=sublabels,
        label_column=label,
        sublabel_column=sublabel,
        left_out=[each for each in left_out if each.names],
    )


def _check_images(found: Scan, folder: Path) -> None:
    if not found.files:
        others = f", but {len(found.skipped):,} other files" if found.skipped else ""
        raise InvalidField("images", f"there is no image in {printable(str(folder))}{others}")


def _skipped(found: Scan) -> list[LeftOut]:
    by_reason: dict[str, list[str]] = {}
    for skipped in found.skipped:
        by_reason.setdefault(f"files: {skipped.reason}", []).append(printable(skipped.file))
    for refused in found.refused:
        by_reason.setdefault(f"files: {refused.error.message}", []).append(refused.id)
    return [LeftOut(why, names) for why, names in by_reason.items()]


def _columns(
    rows: Sequence[Row], label_column: str | None, sublabel_column: str | None
) -> tuple[str, str]:
    """Return the names of both columns as the table has them, the second or empty.

    Raises:
        InvalidField: one that is asked for, or any with labels, is not there.
    """
    columns = list(dict.fromkeys(name for row in rows for name in row.metadata))
    label = _column(columns, label_column, _LABELS)
    if not label:
        asked = f"`{label_column}`" if label_column else "`label`"
        raise InvalidField(
            FIELD, f"the table has no column {asked} with values; {_listed(columns)}"
        )
    sublabel = _column(columns, sublabel_column, _SUBLABELS)
    if sublabel_column and not sublabel:
        raise InvalidField(
            FIELD, f"the table has no column `{sublabel_column}` with values; {_listed(columns)}"
        )
    return label, sublabel


def _listed(columns: Sequence[str]) -> str:
    if not columns:
        return "beside the files it has none: name the columns in its first line"
    return f"it has {examples(columns)}: name another with --label-column or --sublabel-column"


def _column(columns: Sequence[str], asked: str | None, usual: Sequence[str]) -> str:
    """Return the column that is asked for, or the first with a usual name; else empty."""
    if asked is not None and asked in columns:
        return asked
    wanted = (_folded(asked),) if asked is not None else usual
    return next((name for want in wanted for name in columns if _folded(name) == want), "")


def _folded(name: str) -> str:
    return _SEPARATORS.sub("", name).casefold()


def _checked(value: str, column: str, file: FileEntry) -> str:
    """Return a label.

    Raises:
        InvalidField: it is too long to be one.
    """
    if len(value.encode()) > _MOST_BYTES:
        raise InvalidField(
            FIELD,
            f"the {column} of {printable(file.key)!r} has {len(value.encode()):,} bytes, and "
            f"{_MOST_BYTES} at most can be: is it the right column?",
        )
    return value
