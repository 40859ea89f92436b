"""Settings of the front door: a part of those of the search service."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lookalike.serving.settings.declared import group, setting
from lookalike.serving.settings.shared import DAY_S, MOST_BYTES, MOST_S, QueueSettings
from lookalike.wire.channel import MAX_IMAGE_BYTES

_MIB = 1024 * 1024
# Redis takes values of up to 512 MiB (`proto-max-bulk-len`).
_MOST_REFERENCE_BYTES = 500 * _MIB


@dataclass(frozen=True, kw_only=True)
class ReferenceSettings:
    """Where referenced images may lie; by default nowhere.

    `image_buckets` holds names such as "s3:photos" or "gs:scans". Nothing is signed
    for `gs_endpoint_url`.
    """

    image_roots: tuple[Path, ...] = setting(
        "folders in which `file:` references may lie", (), unit="folder"
    )
    image_buckets: tuple[str, ...] = setting(
        "buckets that `s3:` and `gs:` references may name, such as s3:photos,gs:scans", ()
    )
    s3_endpoint_url: str = setting("another S3 endpoint", "", unit="URL")
    gs_endpoint_url: str = setting(
        "an emulator in the place of Google's storage, without credentials", "", unit="URL"
    )
    max_reference_bytes: int = setting(
        "most bytes of one referenced image; above 62,914,560 raise the embedders' "
        "max_image_bytes as well",
        MAX_IMAGE_BYTES,
        unit="bytes",
        least=1,
        most=_MOST_REFERENCE_BYTES,
    )
    reference_timeout_s: float = setting(
        "time to read a referenced image", 30.0, unit="seconds", least=0.01, most=3600
    )
    max_concurrent_references: int = setting(
        "most referenced images read at one time", 16, least=1, most=10_000
    )


@dataclass(frozen=True, kw_only=True)
class IngestSettings(QueueSettings):
    """The queue and its bounds."""

    redis: str = setting(
        "URL of Redis, such as redis://user:password@host:6379/0, rediss: for TLS; without it "
        "images cannot be submitted",
        unit="URL",
        secret=True,
    )
    max_queue_bytes: int = setting(
        "bytes in the queue past which images are refused",
        1024 * _MIB,
        unit="bytes",
        least=1,
        most=MOST_BYTES,
    )
    max_queue_age_s: float = setting(
        "age of the oldest entry past which images are refused",
        3600.0,
        unit="seconds",
        least=0,
        most=MOST_S,
    )
    max_image_bytes: int = setting(
        "most bytes of one image that is sent; larger ones go by reference",
        MAX_IMAGE_BYTES,
        unit="bytes",
        least=1,
        most=MAX_IMAGE_BYTES,
    )
    window_items: int = setting(
        "most unanswered mutations of one stream", 256, least=1, most=100_000
    )
    window_bytes: int = setting(
        "most unanswered bytes of one stream", 32 * _MIB, unit="bytes", least=1, most=MOST_BYTES
    )
    failure_retention_s: float = setting(
        "how long given-up mutations are kept", 7 * DAY_S, unit="seconds", least=0, most=MOST_S
    )
    max_failures: int = setting(
        "most given-up mutations kept", 100_000, least=0, most=1_000_000_000
    )
    max_watchers: int = setting("most WatchIngest calls at one time", 64, least=0, most=100_000)
    tombstone_grace_s: float = setting(
        "how long a deletion is remembered past the last entry that it could outrank",
        300.0,
        unit="seconds",
        least=0,
        most=MOST_S,
    )
    references: ReferenceSettings = group(ReferenceSettings())
