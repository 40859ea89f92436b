"""Stored items and their parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from lookalike.wire.vectors import F32
from lookalike_client.types.lazy import LazyParts
from lookalike_client.types.metadata import Metadata


@dataclass(frozen=True, slots=True)
class Fields:
    """Which parts of an item come back besides id, version and time.

    `metadata_fields` are paths such as "camera.model"; none stands for all.
    """

    metadata: bool = True
    facts: bool = False
    thumbnail: bool = False
    vector: bool = False
    metadata_fields: Sequence[str] = ()


WITH_METADATA = Fields()


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What the embedder saw; digests and `perceptual_hash` in hexadecimal.

    `pixel_sha256` is that of the decoded picture: a file with other EXIF data has the same.
    `grey_webp` is a grey picture of 64 by 64 pixels, by which copies are told from pictures
    that are only alike. `truncated`: the file lacks its end, and the picture is what came
    of it. `blank`: it is of one tone nearly everywhere, so that its vector says next to
    nothing. `pdq_hash` has 64 hexadecimal digits, as lists of known images have them, and
    `pdq_quality` is 0 to 100; below 50 it is not matched.
    """

    width_px: int
    height_px: int
    size_bytes: int
    sha256: str
    perceptual_hash: str
    sharpness: float
    format: str
    thumbnail_webp: bytes = b""
    truncated: bool = False
    blank: bool = False
    pixel_sha256: str = ""
    grey_webp: bytes = b""
    pdq_hash: str = ""
    pdq_quality: int = 0


@dataclass(frozen=True, slots=True)
class Item(LazyParts):
    """A stored item; parts that were not asked for are None or empty."""

    id: str
    version: int
    update_time: datetime | None
    metadata: Metadata = field(default_factory=dict)
    facts: ImageFacts | None = None
    vector: F32 | None = None
    near_duplicate_of: str = ""
    # Its vectors besides `vector`, float32 [D] each; there where that is.
    further_vectors: Sequence[F32] = ()
    # Its vectors by name, float32 [D] each; there where that is.
    named_vectors: Mapping[str, Sequence[F32]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ItemPage:
    """Items by id, in the order asked for, and the ids that have none."""

    items: Sequence[Item]
    missing_ids: Sequence[str]
