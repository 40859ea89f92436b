"""The name of everything that changes a vector.

Two embedders with the same fingerprint give vectors that may stand in one
collection. So the precision is in it (bf16 moves a vector by up to 0.005 in
cosine), and what runs the network is not: OpenVINO and torch agree in f32 to
0.9999999.
"""

from __future__ import annotations

import hashlib
import json

# Counts up when the recipe below changes its meaning.
FINGERPRINT_VERSION = 1


def fingerprint(
    *,
    architecture: str,
    weights_sha256: str,
    preprocess: dict[str, object],
    pooling: str,
    precision: str,
    dimension: int,
    projection: str | None = None,
) -> str:
    """Return 64 lower-case hexadecimal digits; `projection` is the hash of its file."""
    recipe = {
        "version": FINGERPRINT_VERSION,
        "architecture": architecture,
        "weights_sha256": weights_sha256,
        "preprocess": preprocess,
        "pooling": pooling,
        "projection": projection,
        "normalisation": "l2",
        "precision": precision,
        "dimension": dimension,
    }
    canonical = json.dumps(recipe, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
