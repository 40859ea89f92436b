"""Settings of the front door, read from the environment once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lookalike.wire.errors import InvalidField

_MIB = 1024 * 1024
_PREFIX = "LOOKALIKE_INGEST_"


@dataclass(frozen=True, slots=True)
class ReferenceSettings:
    """Where referenced images may lie; by default nowhere.

    `buckets` holds names such as "s3:photos" or "gs:scans". `gs_endpoint_url` is for
    an emulator: nothing is signed there.
    """

    file_roots: tuple[Path, ...] = ()
    buckets: frozenset[str] = frozenset()
    s3_endpoint_url: str = ""
    gs_endpoint_url: str = ""
    timeout_s: float = 30.0
    max_concurrent: int = 16


@dataclass(frozen=True, slots=True)
class IngestSettings:
    """The queue and its bounds. `redis_url` may hold a password: not in the repr."""

    redis_url: str = field(repr=False)
    redis_ca_file: str = ""
    redis_certificate_file: str = ""
    redis_key_file: str = ""
    key_prefix: str = "lookalike"
    max_queue_bytes: int = 1024 * _MIB
    max_queue_age_s: float = 3600.0
    max_image_bytes: int = 20 * _MIB
    window_items: int = 256
    window_bytes: int = 32 * _MIB
    job_retention_s: float = 24 * 3600.0
    failure_retention_s: float = 7 * 24 * 3600.0
    max_failures: int = 100_000
    max_watchers: int = 64
    redis_timeout_s: float = 5.0
    startup_wait_s: float = 5.0
    tombstone_grace_s: float = 3600.0
    references: ReferenceSettings = ReferenceSettings()

    def __post_init__(self) -> None:
        for name in ("max_queue_bytes", "max_image_bytes", "window_items", "window_bytes"):
            if getattr(self, name) < 1:
                raise InvalidField(name, "must be at least 1")
        if self.max_image_bytes > 60 * _MIB:
            raise InvalidField("max_image_bytes", "must fit a message of 64 MiB: at most 60 MiB")


def load(environ: Mapping[str, str], *, redis_url: str) -> IngestSettings:
    """Read the settings named LOOKALIKE_INGEST_*.

    LOOKALIKE_INGEST_FILE_ROOTS and LOOKALIKE_INGEST_BUCKETS are comma-separated.

    Raises:
        InvalidField: a value cannot be read or is out of range.
    """
    base = IngestSettings(redis_url=redis_url)

    def text(name: str, default: str) -> str:
        return environ.get(_PREFIX + name, default)

    def number(name: str, default: float) -> float:
        raw = environ.get(_PREFIX + name)
        if raw is None:
            return default
        try:
            value = float(raw)
        except ValueError as error:
            raise InvalidField(_PREFIX + name, "must be a number") from error
        if not 0 <= value < 1e15:
            raise InvalidField(_PREFIX + name, "must not be negative")
        return value

    def items(name: str) -> list[str]:
        return [part.strip() for part in text(name, "").split(",") if part.strip()]

    references = ReferenceSettings(
        file_roots=tuple(Path(root) for root in items("FILE_ROOTS")),
        buckets=frozenset(items("BUCKETS")),
        s3_endpoint_url=text("S3_ENDPOINT_URL", ""),
        gs_endpoint_url=text("GS_ENDPOINT_URL", ""),
        timeout_s=number("REFERENCE_TIMEOUT_S", base.references.timeout_s),
        max_concurrent=int(number("REFERENCE_MAX_CONCURRENT", base.references.max_concurrent)),
    )
    return IngestSettings(
        redis_url=redis_url,
        redis_ca_file=text("REDIS_CA_FILE", ""),
        redis_certificate_file=text("REDIS_CERTIFICATE_FILE", ""),
        redis_key_file=text("REDIS_KEY_FILE", ""),
        key_prefix=text("KEY_PREFIX", base.key_prefix),
        max_queue_bytes=int(number("MAX_QUEUE_BYTES", base.max_queue_bytes)),
        max_queue_age_s=number("MAX_QUEUE_AGE_S", base.max_queue_age_s),
        max_image_bytes=int(number("MAX_IMAGE_BYTES", base.max_image_bytes)),
        window_items=int(number("WINDOW_ITEMS", base.window_items)),
        window_bytes=int(number("WINDOW_BYTES", base.window_bytes)),
        job_retention_s=number("JOB_RETENTION_S", base.job_retention_s),
        failure_retention_s=number("FAILURE_RETENTION_S", base.failure_retention_s),
        max_failures=int(number("MAX_FAILURES", base.max_failures)),
        max_watchers=int(number("MAX_WATCHERS", base.max_watchers)),
        tombstone_grace_s=number("TOMBSTONE_GRACE_S", base.tombstone_grace_s),
        references=references,
    )
