"""Rows of Parquet, Arrow and Feather files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from lookalike_client.tables.rows import Row, Source, unreadable

# A few megabytes of vectors at a time.
_READ_ROWS = 256
_ARROW_MAGIC = b"ARROW1"


def available() -> bool:
    """Return whether pyarrow is installed."""
    try:
        import pyarrow.parquet  # noqa: F401  # only whether it is there
    except ImportError:
        return False
    return True


def open_parquet(path: Path) -> Source:
    """Return a Parquet file's rows.

    Raises:
        InvalidField: it is no Parquet file, or is damaged.
        OSError: it cannot be read.
    """
    import pyarrow.parquet as pq

    with _refused(path, "Parquet"), path.open("rb") as raw, pq.ParquetFile(raw) as file:
        schema, expected = file.schema_arrow, file.metadata.num_rows

    def read(vector: str) -> Iterator[Row]:
        with _refused(path, "Parquet"), path.open("rb") as raw, pq.ParquetFile(raw) as file:
            yield from _rows(file.iter_batches(batch_size=_READ_ROWS), vector)

    return Source(path, schema.names, read, schema.metadata or {}, expected)


def open_arrow(path: Path) -> Source:
    """Return the rows of an Arrow (or Feather) file or stream.

    Raises:
        InvalidField: it is neither, or is damaged.
        OSError: it cannot be read.
    """

    @contextmanager
    def batches() -> Iterator[tuple[Any, Iterator[Any]]]:
        import pyarrow as pa

        with _refused(path, "Arrow"), path.open("rb") as raw:
            seekable = raw.read(len(_ARROW_MAGIC)) == _ARROW_MAGIC
            raw.seek(0)
            if seekable:
                with pa.ipc.open_file(raw) as file:
                    yield file.schema, map(file.get_batch, range(file.num_record_batches))
            else:
                with pa.ipc.open_stream(raw) as stream:
                    yield stream.schema, iter(stream)

    def read(vector: str) -> Iterator[Row]:
        with batches() as (_, found):
            yield from _rows(
                (
                    batch.slice(start, _READ_ROWS)
                    for batch in found
                    for start in range(0, batch.num_rows, _READ_ROWS)
                ),
                vector,
            )

    with batches() as (schema, _):
        return Source(path, schema.names, read, schema.metadata or {})


@contextmanager
def _refused(path: Path, kind: str) -> Iterator[None]:
    import pyarrow as pa

    try:
        yield
    except pa.ArrowException as error:
        raise unreadable(path, f"the file is no {kind} file, or is damaged") from error
    except OSError as error:
        if error.errno is not None:
            raise
        # pyarrow's own, for a page that cannot be read
        raise unreadable(path, f"the file is no {kind} file, or is damaged") from error


def _rows(batches: Iterator[Any], vector: str) -> Iterator[Row]:
    number = 0
    for batch in batches:
        columns = [
            _vectors(column) if name == vector else column.to_pylist()
            for name, column in zip(batch.schema.names, batch.columns, strict=True)
        ]
        names = batch.schema.names
        for cells in zip(*columns, strict=True):
            number += 1
            yield Row(f"row {number:,}", number, dict(zip(names, cells, strict=True)))


def _vectors(column: Any) -> list[Any]:
    """Return a column's lists as arrays, where it holds lists of numbers."""
    import pyarrow as pa

    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    kind = column.type
    if pa.types.is_fixed_size_list(kind):
        # Nulls keep their place in the values of this kind, and in no other.
        column = column.cast(pa.list_(kind.value_type))
    elif not (pa.types.is_list(kind) or pa.types.is_large_list(kind)):
        return list(column.to_pylist())
    value = column.type.value_type
    if not (pa.types.is_floating(value) or pa.types.is_integer(value)):
        return list(column.to_pylist())
    offsets = column.offsets.to_numpy()
    values = column.values.to_numpy(zero_copy_only=False)
    present = column.is_valid().to_numpy(zero_copy_only=False)
    spans = zip(offsets[:-1], offsets[1:], present, strict=True)
    # The batch's memory goes with it: an item may wait for an answer longer.
    return [np.array(values[start:end]) if there else None for start, end, there in spans]
