"""What an import will do, known before anything is written."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from lookalike.wire.errors import InvalidField
from lookalike_client.tables import arrow_files, columns, numpy_files, text_files, values
from lookalike_client.tables.binding import FURTHER_VECTORS, Binding
from lookalike_client.tables.columns import VectorColumn
from lookalike_client.tables.rows import Source, unreadable
from lookalike_client.types import DuplicateSettings, IndexSettings

_SAMPLE_ROWS = 200
_OPENERS: Mapping[str, Callable[[Path], Source]] = {
    ".parquet": arrow_files.open_parquet,
    ".pq": arrow_files.open_parquet,
    ".arrow": arrow_files.open_arrow,
    ".feather": arrow_files.open_arrow,
    ".ipc": arrow_files.open_arrow,
    ".npz": numpy_files.open_arrays,
    ".csv": text_files.open_csv,
    ".tsv": text_files.open_csv,
    ".jsonl": text_files.open_lines,
    ".ndjson": text_files.open_lines,
    ".json": text_files.open_json,
}
_FACTS = "facts"
_PARTS_OF_FACTS = frozenset({"width_px", "height_px", "sha256"})


@dataclass(frozen=True, slots=True)
class Choice:
    """What the caller says of a file; None and empty are guessed.

    `row_ids` numbers the rows instead of taking a column; `ids` is the file of ids
    that belongs to a matrix of NumPy.
    """

    id_column: str | None = None
    vector_column: str | None = None
    metadata_columns: Sequence[str] | None = None
    row_ids: bool = False
    ids: Path | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """Which files are read, what their columns are, and what the file says of itself.

    `id_column` is empty where rows are numbered; `expected` counts rows, where the
    files tell; `refused` are files that cannot be read at all.
    """

    sources: Sequence[Source]
    refused: Sequence[InvalidField]
    id_column: str
    vector_column: VectorColumn
    metadata_columns: Sequence[str]
    spread: frozenset[str]
    left_out: Sequence[str]
    guessed: frozenset[str]
    has_facts: bool
    has_further: bool
    dimension: int
    fingerprint: str | None
    index: IndexSettings | None
    duplicates: DuplicateSettings | None
    thumbnail_side_px: int
    ids_file: Path | None
    folder: Path

    @property
    def expected(self) -> int | None:
        """Return how many rows there are, if all files tell."""
        counts = [each.expected for each in self.sources]
        return sum(each for each in counts if each is not None) if None not in counts else None


def plan_import(path: str | Path, choice: Choice | None = None) -> Plan:
    """Look at a file, or at all files of a folder, and say what an import would do.

    Raises:
        InvalidField: it cannot be read, or which column is what cannot be told.
        OSError: it cannot be read.
    """
    path, choice = Path(path), choice or Choice()
    sources, refused, ids_file = _sources(path, choice)
    found: Plan | None = None
    errors: list[InvalidField] = []
    for source in sources:
        try:
            found = _plan(source, choice)
            break
        except InvalidField as error:  # the table may be about something else
            errors.append(error)
    if found is None:
        raise errors[0]
    folder = path if path.is_dir() else path.parent
    return replace(found, sources=sources, refused=refused, ids_file=ids_file, folder=folder)


def _plan(first: Source, choice: Choice) -> Plan:
    """Return the plan for one file, after which others are read."""
    names = list(first.columns)
    rows = list(islice(first.read(""), _SAMPLE_ROWS))
    sample = [row.cells for row in rows if not row.error]
    if not sample:
        why = f"{rows[0].place}: {rows[0].error}" if rows else "holds no rows"
        raise unreadable(first.path, why)
    binding = Binding.of(first)
    guessed = set()
    if choice.vector_column is None:
        guessed.add("vector")
        vector = columns.guess_vector(names, sample)
    else:
        vector = columns.given_vector(choice.vector_column, names)
    facts = _FACTS if any(_is_facts(row.get(_FACTS)) for row in sample) else None
    further = [FURTHER_VECTORS] if binding.dimension and FURTHER_VECTORS in names else []
    taken = [*vector.columns, *further, *([facts] if facts else [])]
    id_column = _id_column(choice, names, sample, taken, guessed)
    taken += [id_column] if id_column else []
    # Versions of the collection that was exported mean nothing in another one.
    informing = ["version"] if _is_own(binding, names) else []
    metadata = _metadata_columns(choice, names, sample, [*taken, *informing], guessed)
    return Plan(
        sources=[first],
        refused=(),
        id_column=id_column,
        vector_column=vector,
        metadata_columns=metadata,
        spread=frozenset(each for each in metadata if columns.spreads(each, sample)),
        left_out=[each for each in names if each not in (*taken, *metadata)],
        guessed=frozenset(guessed),
        has_facts=facts is not None,
        has_further=bool(further),
        dimension=binding.dimension or _dimension(first, vector),
        fingerprint=binding.fingerprint,
        index=binding.index,
        thumbnail_side_px=binding.thumbnail_side_px,
        duplicates=binding.duplicates,
        ids_file=None,
        folder=first.path.parent,
    )


def _sources(path: Path, choice: Choice) -> tuple[list[Source], list[InvalidField], Path | None]:
    if not path.is_dir():
        source, ids = _open(path, choice.ids)
        return [source], [], ids
    sources, refused, taken = [], [], choice.ids
    for each in _files(path):
        if each == choice.ids:
            continue
        try:
            source, ids = _open(each, choice.ids)
        except InvalidField as error:
            refused.append(error)
            continue
        taken = taken or ids
        sources.append((source, ids))
    beside = {ids for _, ids in sources if ids is not None}
    kept = [source for source, _ in sources if source.path not in beside]
    if not kept and refused:
        raise refused[0]
    if not kept:
        raise InvalidField("file", f"the folder holds none of {', '.join([*_OPENERS, '.npy'])}")
    return kept, refused, taken


def _files(folder: Path) -> list[Path]:
    """Return a folder's tables in order; `.json` often is about them, then left out."""
    found = [
        each
        for each in sorted(folder.rglob("*"))
        if each.is_file()
        and (each.suffix.lower() in _OPENERS or each.suffix.lower() == ".npy")
        and not any(part.startswith((".", "_")) for part in each.relative_to(folder).parts)
        and not _are_ids(each)
    ]
    return [each for each in found if each.suffix.lower() != ".json"] or found


def _are_ids(path: Path) -> bool:
    return path.suffix.lower() == ".npy" and path.stem.lower().endswith("ids")


def _open(path: Path, ids: Path | None) -> tuple[Source, Path | None]:
    suffix = path.suffix.lower()
    if suffix == ".npy":
        return numpy_files.open_matrix(path, ids, _open_ids)
    opener = _OPENERS.get(suffix) or _by_content(path)
    if (opener in (arrow_files.open_parquet, arrow_files.open_arrow)) and (
        not arrow_files.available()
    ):
        raise unreadable(path, "needs pyarrow: pip install 'lookalike[parquet]'")
    return opener(path), None


def _by_content(path: Path) -> Callable[[Path], Source]:
    with path.open("rb") as file:
        start = file.read(6)
    if start == b"ARROW1":
        return arrow_files.open_arrow
    if start[:4] == b"PAR1":
        return arrow_files.open_parquet
    kinds = ", ".join([*_OPENERS, ".npy"])
    raise unreadable(path, f"no Parquet or Arrow file, and its name ends with none of {kinds}")


def _open_ids(path: Path) -> Source:
    if path.suffix.lower() in _OPENERS:
        return _open(path, None)[0]
    return text_files.open_ids(path)


def _is_facts(cell: object) -> bool:
    return isinstance(cell, Mapping) and set(cell) >= _PARTS_OF_FACTS


def _is_own(binding: Binding, names: Sequence[str]) -> bool:
    """Whether `version` is an export's, of which other programs may have left out parts."""
    return "version" in names and (
        binding.fingerprint is not None or {"id", "vector", "metadata"} <= set(names)
    )


def _id_column(
    choice: Choice,
    names: Sequence[str],
    sample: Sequence[Mapping[str, object]],
    taken: Sequence[str],
    guessed: set[str],
) -> str:
    if choice.row_ids:
        return ""
    if choice.id_column is None:
        guessed.add("id")
        return columns.guess_id(names, sample, taken)
    if choice.id_column.partition(".")[0] not in names and choice.id_column not in names:
        raise columns.absent("id", choice.id_column, names)
    return choice.id_column


def _metadata_columns(
    choice: Choice,
    names: Sequence[str],
    sample: Sequence[Mapping[str, object]],
    taken: Sequence[str],
    guessed: set[str],
) -> list[str]:
    if choice.metadata_columns is None:
        guessed.add("metadata")
        return columns.guess_metadata(names, sample, taken)
    for each in choice.metadata_columns:
        if each not in names:
            raise columns.absent("metadata", each, names)
    return list(choice.metadata_columns)


def _dimension(source: Source, vector: VectorColumn) -> int:
    """Return the length that most vectors have, of the first rows."""
    lengths = [
        len(found)
        for row in islice(source.read(vector.name), _SAMPLE_ROWS)
        if not row.error and (found := values.vector(vector.cell(row.cells))) is not None
    ]
    if not lengths:
        raise InvalidField("vector-column", f"column {vector} holds no vectors in the first rows")
    return max(set(lengths), key=lengths.count)
