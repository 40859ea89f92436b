"""Collections as Parquet files: id, vector, metadata, facts, version.

    id        string
    vector    fixed-size list of float32, unit length, the stored bytes
    metadata  string: a JSON object
    facts     struct, null where an item has none; the thumbnail is part of it
    version   uint64, for information: an import gives versions of its own

The file's own metadata says the dimension and the model's fingerprint, so that
vectors never end up among those of another model, and the settings of the
collection. Needs pyarrow, which the extra `parquet` brings. Both directions stream;
a few tens of megabytes are held.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lookalike.wire.errors import InvalidField, LookalikeError, NotFound, Precondition, Reason
from lookalike_client import archive_files, types
from lookalike_client.inputs import VectorItem

if TYPE_CHECKING:
    from lookalike_client import Client

FORMAT_VERSION = "1"
DIMENSION = b"lookalike.dimension"
FINGERPRINT = b"lookalike.model_fingerprint"
FORMAT = b"lookalike.format"
# JSON, and not there in files of the first releases: the defaults hold then.
SETTINGS = b"lookalike.settings"

# A page of items with the largest thumbnails, metadata and vectors the contract
# allows (288 KiB an item) stays below the largest message, 64 MiB.
_PAGE_ITEMS = 200
_GROUP_ROWS = 4_096
_GROUP_BYTES = 32 << 20
_READ_ROWS = 256
_UPSERT_ITEMS = 64
_EVERYTHING = types.Fields(metadata=True, facts=True, thumbnail=True, vector=True)


@dataclass(frozen=True, slots=True)
class _Binding:
    """What a file says of its collection."""

    dimension: int
    fingerprint: str
    index: types.IndexSettings | None
    duplicates: types.DuplicateSettings | None


def available() -> bool:
    """Return whether pyarrow is installed."""
    try:
        import pyarrow.parquet  # noqa: F401  # only whether it is there
    except ImportError:
        return False
    return True


def export_collection(client: Client, collection: str, path: str | Path) -> int:
    """Write a collection to a Parquet file; return how many items.

    Items are read page by page by id: what is written meanwhile may or may not be
    in the file. Take a snapshot and export a restored copy for one moment's state.
    The file is there, whole, or not at all.

    Raises:
        OSError: the file cannot be written.
    """
    import pyarrow.parquet as pq

    described = client.collections.get(collection)
    settings = {"index": asdict(described.index), "duplicates": asdict(described.duplicates)}
    schema = _schema(
        described.dimension,
        described.model_fingerprint,
        {SETTINGS: json.dumps(settings).encode()},
    )
    items = client.list(described.uid, fields=_EVERYTHING, page_size=_PAGE_ITEMS)
    count = 0
    with archive_files.whole_file(Path(path)) as file, pq.ParquetWriter(file, schema) as writer:
        for group in _groups(items):
            writer.write_table(_table(group, schema), row_group_size=len(group))
            count += len(group)
    return count


def import_collection(
    client: Client,
    path: str | Path,
    collection: str,
    *,
    index: types.IndexSettings | None = None,
) -> Iterator[types.MutationResult]:
    """Store a file's items; yield each one's result. Iterate to make it run.

    The collection is made, bound to the same model, if it is not there: with the
    settings of the one that was exported, or with `index`. Its duplicate policy is
    set after the last item, so that it says nothing about those of the file.

    Raises:
        InvalidField: the file is not one that `export_collection` wrote.
        Precondition: MODEL_MISMATCH, DIMENSION_MISMATCH: the collection takes others.
        OSError: the file cannot be read.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with Path(path).open("rb") as raw, pq.ParquetFile(raw) as file:
            binding = _binding(file.schema_arrow)
            made = _fit(client, collection, binding, index)
            items = _read(file, binding.fingerprint)
            yield from client.upsert_vectors(collection, items, batch_items=_UPSERT_ITEMS)
            if made and binding.duplicates is not None:
                client.collections.update(collection, duplicates=binding.duplicates)
    except pa.ArrowException as error:
        raise InvalidField("file", "the file is no Parquet file, or is damaged") from error


def _fit(
    client: Client, collection: str, binding: _Binding, index: types.IndexSettings | None
) -> bool:
    """Create the collection or check its binding; return whether it was created."""
    dimension, fingerprint = binding.dimension, binding.fingerprint
    try:
        found = client.collections.get(collection)
    except NotFound:
        client.collections.create(
            collection,
            model=fingerprint or None,
            dimension=dimension,
            index=index or binding.index,
        )
        return True
    if found.model_fingerprint != fingerprint:
        raise Precondition(
            f"the file holds vectors of model {fingerprint[:12] or '(external)'}; collection "
            f'"{collection}" takes those of {found.model_fingerprint[:12] or "(external)"}',
            reason=Reason.MODEL_MISMATCH,
            field="file",
        )
    if found.dimension != dimension:
        raise Precondition(
            f"the file holds vectors of {dimension:,} dimensions; collection "
            f'"{collection}" takes {found.dimension:,}',
            reason=Reason.DIMENSION_MISMATCH,
            field="file",
        )
    return False


def _schema(dimension: int, fingerprint: str, more: dict[bytes, bytes] | None = None) -> Any:
    import pyarrow as pa

    facts = pa.struct(
        [
            ("width_px", pa.uint32()),
            ("height_px", pa.uint32()),
            ("size_bytes", pa.uint64()),
            ("sha256", pa.string()),
            ("perceptual_hash", pa.string()),
            ("sharpness", pa.float64()),
            ("format", pa.string()),
            ("thumbnail_webp", pa.binary()),
        ]
    )
    return pa.schema(
        [
            pa.field("id", pa.string(), nullable=False),
            pa.field("vector", pa.list_(pa.float32(), dimension), nullable=False),
            pa.field("metadata", pa.string(), nullable=False),
            pa.field("facts", facts),
            pa.field("version", pa.uint64(), nullable=False),
        ],
        metadata={
            FORMAT: FORMAT_VERSION.encode(),
            DIMENSION: str(dimension).encode(),
            FINGERPRINT: fingerprint.encode(),
            **(more or {}),
        },
    )


def _binding(schema: Any) -> _Binding:
    """Return what a file is bound to; refuse one of another form."""
    stored = schema.metadata or {}
    if stored.get(FORMAT) != FORMAT_VERSION.encode():
        raise InvalidField("file", "the file was not written by `lookalike export` of this format")
    try:
        dimension, fingerprint = int(stored[DIMENSION]), stored[FINGERPRINT].decode()
    except (KeyError, ValueError) as error:
        raise InvalidField("file", "the file does not say its dimension and model") from error
    if not schema.remove_metadata().equals(_schema(dimension, "").remove_metadata()):
        raise InvalidField("file", "the file has other columns than `lookalike export` writes")
    index, duplicates = _settings(stored.get(SETTINGS))
    return _Binding(dimension, fingerprint, index, duplicates)


def _settings(
    text: bytes | None,
) -> tuple[types.IndexSettings | None, types.DuplicateSettings | None]:
    if text is None:
        return None, None
    try:
        stored = json.loads(text)
        return types.IndexSettings(**stored["index"]), types.DuplicateSettings(
            **stored["duplicates"]
        )
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidField(
            "file", "the file's settings of its collection cannot be read"
        ) from error


def _groups(items: Iterator[types.Item]) -> Iterator[list[types.Item]]:
    group: list[types.Item] = []
    nbytes = 0
    for item in items:
        group.append(item)
        nbytes += 1_024 + (item.vector.nbytes if item.vector is not None else 0)
        nbytes += len(item.facts.thumbnail_webp) if item.facts is not None else 0
        if len(group) >= _GROUP_ROWS or nbytes >= _GROUP_BYTES:
            yield group
            group, nbytes = [], 0
    if group:
        yield group


def _table(items: Sequence[types.Item], schema: Any) -> Any:
    import pyarrow as pa

    if any(item.vector is None for item in items):
        raise LookalikeError("the service sent an item without a vector", reason=Reason.INTERNAL)
    flat = np.concatenate([item.vector for item in items if item.vector is not None])
    vectors = pa.FixedSizeListArray.from_arrays(
        pa.array(flat, pa.float32()), type=schema.field("vector").type
    )
    facts = [None if item.facts is None else _facts_row(item.facts) for item in items]
    columns = [
        pa.array([item.id for item in items], pa.string()),
        vectors,
        pa.array([json.dumps(item.metadata, ensure_ascii=False) for item in items], pa.string()),
        pa.array(facts, schema.field("facts").type),
        pa.array([item.version for item in items], pa.uint64()),
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def _facts_row(facts: types.ImageFacts) -> dict[str, object]:
    names = types.ImageFacts.__dataclass_fields__
    return {name: getattr(facts, name) for name in names}


def _read(file: Any, fingerprint: str) -> Iterator[VectorItem]:
    columns = ["id", "vector", "metadata", "facts"]
    for batch in file.iter_batches(batch_size=_READ_ROWS, columns=columns):
        ids, vectors, metadata, facts = batch.columns
        matrix = vectors.flatten().to_numpy().reshape(len(batch), -1)
        rows = zip(ids.to_pylist(), matrix, metadata.to_pylist(), facts.to_pylist(), strict=True)
        for item_id, vector, text, fact in rows:
            try:
                found = json.loads(text)
            except ValueError as error:
                raise InvalidField("metadata", f"of item {item_id!r} is no JSON") from error
            yield VectorItem(
                item_id,
                vector,
                found,
                fingerprint,
                None if fact is None else types.ImageFacts(**fact),
            )
