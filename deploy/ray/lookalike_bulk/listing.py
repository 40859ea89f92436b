"""What there is to index: images in a folder or bucket, or rows of Parquet files.

A row is an id and where its image lies; a Parquet file is listed by row groups, whose ids
are read with the images.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from lookalike.wire.errors import InvalidField
from lookalike_bulk.options import OptionsInvalid
from lookalike_client.indexing.formats import IMAGE_EXTENSIONS
from lookalike_client.indexing.scan import scan
from search_service import limits
from search_service.domain.metadata import Metadata


@dataclass(frozen=True, slots=True)
class Row:
    """An image to read: its id, and a path or a URL."""

    id: str
    location: str


@dataclass(frozen=True, slots=True)
class Image:
    """An image that was read, with its metadata; `data` empty: `error` says why."""

    id: str
    data: bytes
    metadata: Metadata
    error: str = ""


@dataclass(frozen=True, slots=True)
class Refused:
    """What is listed but cannot be indexed."""

    id: str
    message: str


@dataclass(frozen=True, slots=True)
class Listing:
    """Blocks in order, each a list of rows, or one row group `FILE#NUMBER` without ids."""

    blocks: Sequence[Sequence[Row]]
    refused: Sequence[Refused]


def list_source(uri: str, prefix: str, block_images: int) -> Listing:
    """List a folder, a bucket or Parquet files.

    Raises:
        OptionsInvalid: there is nothing at `uri`.
    """
    if uri.startswith(("s3://", "gs://")):
        return _blocks(list(_objects(uri, prefix)), block_images)
    path = Path(uri.removeprefix("file://")).absolute()
    if not path.exists():
        raise OptionsInvalid(f"there is no {path}")
    parquet = [path] if path.suffix == ".parquet" else sorted(path.glob("*.parquet"))
    if parquet:
        return Listing([[row] for file in parquet for row in _row_groups(file)], [])
    found = scan([path], prefix=prefix, base=path)
    rows = [Row(entry.id, str(entry.path)) for entry in found.files]
    refused = [Refused(each.id, each.error.message) for each in found.refused]
    listing = _blocks(rows, block_images)
    return Listing(listing.blocks, refused)


def read_block(rows: Sequence[Row], prefix: str) -> Iterator[Image]:
    """Read the images of a block; one that cannot be read has an error."""
    for row in rows:
        if not row.id:
            yield from _read_row_group(row.location, prefix)
            continue
        try:
            yield Image(row.id, _read(row.location), {})
        except OSError as error:
            yield Image(row.id, b"", {}, f"cannot be read: {error.strerror or error}")


def _blocks(rows: list[Row], block_images: int) -> Listing:
    starts = range(0, len(rows), block_images)
    return Listing([rows[start : start + block_images] for start in starts], [])


def _objects(uri: str, prefix: str) -> Iterator[Row]:
    import obstore
    from obstore.store import from_url

    bucket, _, below = uri.partition("://")[2].partition("/")
    base = f"{uri.partition('://')[0]}://{bucket}"
    for page in obstore.list(from_url(base), below.rstrip("/") or None):
        for each in page:
            key = str(each["path"])
            if Path(key).suffix.lower() in IMAGE_EXTENSIONS:
                yield Row(prefix + key.removeprefix(below).lstrip("/"), f"{base}/{key}")


def _row_groups(file: Path) -> list[Row]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(file) as opened:
        missing = {"id", "image"} - set(opened.schema_arrow.names)
        if missing:
            raise OptionsInvalid(f"{file.name} needs the columns id and image (encoded files)")
        return [Row("", f"{file}#{number}") for number in range(opened.num_row_groups)]


def _read_row_group(location: str, prefix: str) -> Iterator[Image]:
    import pyarrow.parquet as pq

    name, _, number = location.rpartition("#")
    with pq.ParquetFile(name) as opened:
        with_metadata = "metadata" in opened.schema_arrow.names
        columns = ["id", "image", *(["metadata"] if with_metadata else [])]
        table: list[dict[str, Any]] = opened.read_row_group(int(number), columns).to_pylist()
    for row in table:
        item_id = f"{prefix}{row['id']}"
        try:
            limits.check_id(item_id, "id")
            yield Image(item_id, row["image"] or b"", _metadata(row.get("metadata")))
        except (ValueError, TypeError) as error:
            yield Image(item_id, b"", {}, f"its metadata is no JSON object: {error}")
        except InvalidField as error:
            yield Image(item_id, b"", {}, error.message)


def _metadata(text: str | None) -> Metadata:
    if not text:
        return {}
    read = orjson.loads(text)
    if not isinstance(read, dict):
        raise TypeError("it is another value")
    return read


def _read(location: str) -> bytes:
    if "://" not in location:
        return Path(location).read_bytes()
    import obstore
    from obstore.exceptions import BaseError
    from obstore.store import from_url

    scheme, _, rest = location.partition("://")
    bucket, _, key = rest.partition("/")
    buffer = io.BytesIO()
    try:
        for piece in obstore.get(from_url(f"{scheme}://{bucket}"), key).stream():
            buffer.write(piece)
    except BaseError as error:
        raise OSError(str(error)) from error
    return buffer.getvalue()
