"""Fields of the contract, in the words of the command line."""

from __future__ import annotations

import re

from lookalike.wire.errors import InvalidField, LookalikeError

_PLACE = re.compile(r"^(\w+)\[(\d+)\](?:\.|$)")
# Only these lists are as long as what the user gave.
_COUNTED = {"ids": "id"}
_WORDS = {
    "boosts": "--boost",
    "candidates": "--candidates",
    "chunk": "archive",
    "descending": "--desc",
    "diversity": "--diverse",
    "duplicates": "--duplicates",
    "duplicates.threshold": "--threshold",
    "expansion_search": "--expansion-search",
    "filter": "--filter",
    "group_by": "--group-by",
    "hits_per_group": "--per-group",
    "id-column": "--id-column",
    "images": "--images",
    "index.connectivity": "--connectivity",
    "index.expansion_add": "--expansion-add",
    "index.expansion_search": "--expansion-search",
    "index.graph_dimension": "--graph-dimension",
    "index.scalar_type": "--scalar-type",
    "labels": "--labels",
    "limit": "--limit",
    "metadata-column": "--metadata-columns",
    "metadata-csv": "--metadata-csv",
    "min_score": "--min-score",
    "prefix": "--prefix",
    "order.field": "--order-by",
    "order_by": "--order-by",
    "sample_size": "--sample",
    "snapshot_id": "snapshot",
    "vector-column": "--vector-column",
    "vector_f32_le": "vector",
}


def told(error: LookalikeError) -> str:
    """Return an error as one line that names what the user gave, not what was sent."""
    if not error.field or not isinstance(error, InvalidField):
        return error.message  # these texts stand alone
    return f"{words(error.field)}: {error.message}"


def words(field: str) -> str:
    """Return a field of the contract as the user knows it.

    Its place in a list is told only where the user gave a list; metadata keys stay.
    """
    counted = ""
    while match := _PLACE.match(field):
        inner = field[match.end() :]
        if match[1] in _COUNTED and not inner:
            return f"{_COUNTED[match[1]]} {int(match[2]) + 1}"
        counted = match[1]
        field = inner
    if not field:
        return {"queries": "query"}.get(counted, counted.removesuffix("s").replace("_", " "))
    if field.startswith("filter."):
        return _WORDS["filter"]
    if field.startswith("ranking.boosts["):
        return _WORDS["boosts"]
    if field in _WORDS:
        return _WORDS[field]
    if field.startswith("metadata."):
        return field
    last = field.rpartition(".")[2]
    return _WORDS.get(last, re.sub(r"\[\d+\]", "", last).replace("_", " "))
