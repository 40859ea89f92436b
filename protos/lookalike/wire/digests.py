"""The digest of several files of one item."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable


def digest_of_files(files: Iterable[bytes]) -> bytes:
    """Return what `ImageFacts.further_sha256` says of files; empty for none."""
    return digest_of_digests([hashlib.sha256(file).digest() for file in files])


def digest_of_digests(digests: Iterable[bytes]) -> bytes:
    """As `digest_of_files`, of the SHA-256 digests of files, 32 bytes each."""
    joined = b"".join(digests)
    return hashlib.sha256(joined).digest() if joined else b""
