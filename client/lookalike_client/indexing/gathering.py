"""Gathers files into items: those of which a table says the same are of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain

from lookalike.wire.errors import InvalidField, LimitExceeded
from lookalike_client.indexing.scan import FileEntry
from lookalike_client.types import Metadata

FIELD = "item-column"
# Of one item, as the contract has it.
_MOST_FILES = 64


def gather(
    files: Sequence[FileEntry], metadata: Mapping[str, Metadata], column: str, prefix: str = ""
) -> tuple[list[FileEntry], dict[str, Metadata]]:
    """Return items of one or more files, and the metadata of each.

    Files whose rows have the same text in `column` are one item, whose id that is, after
    `prefix`; they keep the order of `metadata`, by file id, which is the table's. Of
    its metadata the first row that says something about a key counts. Files without one
    there stay items of their own.

    Raises:
        InvalidField: no row has the column, or a file's id is that of an item.
        LimitExceeded: an item has too many files.
    """
    if not any(column in row for row in metadata.values()):
        raise InvalidField(FIELD, f"no row of the table says anything in a column `{column}`")
    by_id = {file.id: file for file in files}
    gathered: dict[str, list[str]] = {}
    alone: set[str] = set()
    for file_id in chain(metadata, (file.id for file in files if file.id not in metadata)):
        value = metadata.get(file_id, {}).get(column)
        item_id = file_id if value is None else f"{prefix}{value}"
        gathered.setdefault(item_id, []).append(file_id)
        if value is None:
            alone.add(item_id)
        if item_id in alone and len(gathered[item_id]) > 1:
            raise InvalidField(FIELD, f'"{item_id}" is an item, and a file that is of none')
    items: list[FileEntry] = []
    said: dict[str, Metadata] = {}
    for item_id, file_ids in gathered.items():
        if len(file_ids) > _MOST_FILES:
            raise LimitExceeded(
                FIELD,
                f'"{item_id}" has {len(file_ids):,} files; an item has at most {_MOST_FILES}',
            )
        first, *rest = (by_id[file_id] for file_id in file_ids)
        items.append(replace(first, id=item_id, further=tuple(file.path for file in rest)))
        rows = [metadata[file_id] for file_id in file_ids if file_id in metadata]
        if rows:
            said[item_id] = {key: value for row in reversed(rows) for key, value in row.items()}
    return items, said
