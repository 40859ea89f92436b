"""What a file that `lookalike export` wrote says of its collection."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from lookalike_client.tables.rows import Source, unreadable
from lookalike_client.types import DuplicateSettings, IndexSettings

FORMAT_VERSION = "1"
DIMENSION = b"lookalike.dimension"
FINGERPRINT = b"lookalike.model_fingerprint"
FORMAT = b"lookalike.format"
# JSON, and not there in files of the first releases: the defaults hold then.
SETTINGS = b"lookalike.settings"
# A column that only exports have.
FURTHER_VECTORS = "further_vectors"


@dataclass(frozen=True, slots=True)
class Binding:
    """What an export says of its collection; nothing where other programs dropped it."""

    dimension: int = 0
    fingerprint: str | None = None
    index: IndexSettings | None = None
    duplicates: DuplicateSettings | None = None
    thumbnail_side_px: int = 0

    @classmethod
    def of(cls, source: Source) -> Binding:
        """Read it from a file's schema."""
        stored = source.stored
        if FORMAT not in stored:
            return cls()
        if stored[FORMAT] != FORMAT_VERSION.encode():
            raise unreadable(source.path, "a later version of `lookalike export` wrote this file")
        try:
            dimension, fingerprint = int(stored[DIMENSION]), stored[FINGERPRINT].decode()
        except (KeyError, ValueError) as error:
            raise unreadable(source.path, "does not say its dimension and model") from error
        return cls(dimension, fingerprint, *_settings(source.path, stored.get(SETTINGS)))


def _settings(
    path: Path, text: bytes | None
) -> tuple[IndexSettings | None, DuplicateSettings | None, int]:
    if text is None:
        return None, None, 0
    try:
        stored = json.loads(text)
        return (
            IndexSettings(**stored["index"]),
            DuplicateSettings(**stored["duplicates"]),
            int(stored.get("thumbnail_side_px", 0)),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise unreadable(path, "the settings of its collection cannot be read") from error
