"""The manifest: what a segment is, and the checksum of each of its files."""

from __future__ import annotations

import json
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from search_service.domain.collection import Dtype, IndexSettings
from search_service.segments.checksums import FileSum
from search_service.segments.errors import SegmentDamaged

FORMAT_VERSION = 1
# With vectors of four bits: earlier releases know none, and name the format that they read.
NIBBLES_VERSION = 2
MANIFEST = "manifest.json"
GRAPH = "graph.usearch"
ROW_SUMS = "rows.crc32"
ORDINALS = "ordinals.i64"
DIGESTS = "digests.u64"
ENCODER = "encoder.f32"
SIDE = "side.i64"
CODES = "codes.u8"  # of a large segment without a graph


@dataclass(frozen=True, slots=True)
class Identity:
    """The collection and model that the vectors of a segment belong to."""

    uid: str
    dimension: int
    model_fingerprint: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """All that must be known before another file of the segment is touched.

    The segment covers the ordinals in (`after_ordinal`, `upto_ordinal`].
    `captured_energy` is the share of the variance of the rows it was fitted on
    that the PCA basis keeps; 1.0 without one. `quantum` is the step of an i8
    graph, or of that which an i4 graph is made of; 0.0 for the other types.
    """

    identity: Identity
    settings: IndexSettings
    after_ordinal: int
    upto_ordinal: int
    nodes: int
    ordinals: int
    side: int
    has_graph: bool
    graph_dimension: int
    captured_energy: float
    quantum: float
    rows_per_chunk: int
    rows_per_block: int
    files: dict[str, FileSum]

    @property
    def has_codes(self) -> bool:
        """Whether vectors are there in the form that a graph has."""
        return self.has_graph or CODES in self.files


def write_manifest(directory: Path, manifest: Manifest) -> None:
    """Write the manifest; the caller syncs the directory."""
    body = {**asdict(manifest), "format": _format_of(manifest.settings.dtype)}
    (directory / MANIFEST).write_bytes(_encode(body))


def read_manifest(directory: Path, identity: Identity) -> Manifest:
    """Read the manifest and check that it is intact and about `identity`.

    Raises:
        SegmentDamaged: it is not.
    """
    try:
        data = (directory / MANIFEST).read_bytes()
        body = json.loads(data)["manifest"]
        # Written again it must give the same bytes: no flipped bit is harmless.
        if _encode(body) != data:
            raise SegmentDamaged("manifest.json: the checksum differs")
        manifest = _decode(body)
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise SegmentDamaged(f"manifest.json: cannot be read: {error}") from error
    if manifest.identity != identity:
        raise SegmentDamaged(
            f"the segment is of {manifest.identity}, not of {identity}: "
            "another collection's, model's or dimension's"
        )
    return manifest


def _encode(body: dict[str, Any]) -> bytes:
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":")).encode()
    whole = {"crc32": zlib.crc32(canonical), "manifest": body}
    return json.dumps(whole, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def _format_of(dtype: Dtype) -> int:
    return NIBBLES_VERSION if dtype is Dtype.I4 else FORMAT_VERSION


def _decode(body: dict[str, Any]) -> Manifest:
    fields = dict(body)
    version = fields.pop("format")
    if version not in (FORMAT_VERSION, NIBBLES_VERSION):
        raise SegmentDamaged(
            f"format {version} is none of {FORMAT_VERSION} and {NIBBLES_VERSION}, which this "
            "version reads"
        )
    return Manifest(
        identity=Identity(**fields.pop("identity")),
        settings=IndexSettings.from_json(fields.pop("settings")),
        files={name: FileSum(**value) for name, value in fields.pop("files").items()},
        **fields,
    )
