"""What a model is, before any of it is loaded.

Nothing here imports torch: with a cached conversion a server starts without it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from embedder_service.fingerprint import fingerprint
from embedder_service.preprocess import Preprocess
from lookalike.wire.projection import Projection

if TYPE_CHECKING:
    from torch import Tensor, nn

    from embedder_service.models.onnx_graph import OnnxGraph

# Pooling as the model itself does it, without its classifier.
OWN_POOLING = "own"


class ModelError(Exception):
    """A model cannot be served; the message says what to change."""


@dataclass(frozen=True, slots=True)
class TextTower:
    """How a model makes vectors of texts, in the space of its images.

    `build` loads the weights and returns the network: int64 tokens [B, L] in, float32
    [B, D] out, not yet of unit length. `tokenizer` returns what makes tokens of texts.
    """

    build: Callable[[], nn.Module]
    tokenizer: Callable[[], Callable[[Sequence[str]], Tensor]]


@dataclass(frozen=True, slots=True)
class ModelDefinition:
    """One model with everything that changes its vectors.

    `spec_text` is the line that `embedder_service.models.spec` makes it from.

    `build` loads the weights and returns the network: uint8 [B, S, S, 3] in,
    float32 [B, D] out, pooled but not yet of unit length. A model from an ONNX file
    has `onnx` in its place, and one with a `projection` shorter vectors. One with a
    `text` tower embeds texts too.
    """

    name: str
    spec_text: str
    architecture: str
    weights_sha256: str
    preprocess: Preprocess
    pooling: str
    dimension: int
    precision: str
    build: Callable[[], nn.Module]
    onnx: OnnxGraph | None = None
    projection: Projection | None = None
    text: TextTower | None = None

    @property
    def own_dimension(self) -> int:
        """The length of the network's vectors, before a projection."""
        return self.projection.own_dimension if self.projection else self.dimension

    @property
    def fingerprint(self) -> str:
        """Hash over everything that changes a vector."""
        return fingerprint(
            architecture=self.architecture,
            weights_sha256=self.weights_sha256,
            preprocess=self.preprocess.describe(),
            pooling=self.pooling,
            precision=self.precision,
            dimension=self.dimension,
            projection=self.projection.sha256 if self.projection else None,
        )


def file_sha256(path: Path) -> str:
    """Return the hash of a weights file in lower-case hexadecimal.

    Raises:
        ModelError: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(f"cannot read the weights file {path}: {error.strerror}") from error
