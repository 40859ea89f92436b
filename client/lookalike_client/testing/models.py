"""The fake service's model: an image's bytes to a vector."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from lookalike.v1 import image_pb2
from lookalike.wire.errors import InvalidField, NotFound, Precondition, Reason
from lookalike.wire.vectors import F32, normalise
from lookalike_client.inputs import VectorLike

# Of hashed bytes, 64 components keep the cosine of two pictures below 0.6 in practice:
# its standard deviation is 1 / sqrt(64) = 0.125.
DIMENSION = 64
FINGERPRINT = "fa" * 32
NAME = "fake"

Embed: TypeAlias = Callable[[bytes], VectorLike]
EmbedText: TypeAlias = Callable[[str], VectorLike]


def vector_of_hash(image: bytes) -> F32:
    """Return a vector, float32 [DIMENSION], unit L2, that tells equal bytes from others."""
    digest = hashlib.shake_256(image).digest(DIMENSION)
    raw = np.frombuffer(digest, dtype=np.uint8).astype(np.float32) - 127.5
    return normalise(raw, field="image")


@dataclass(frozen=True, slots=True)
class Model:
    """What makes vectors of images, and of texts: float32 [dimension], any length but zero."""

    embed: Embed = vector_of_hash
    dimension: int = DIMENSION
    embed_text: EmbedText | None = None

    def vector(self, image: bytes, field: str) -> F32:
        """Return the unit vector of an image.

        Raises:
            LookalikeError: what `embed` raises.
            ValueError: `embed` gave a vector of another dimension.
        """
        return self._unit(self.embed(image), field)

    def text_vector(self, text: str, field: str) -> F32:
        """Return the unit vector of a text.

        Raises:
            Precondition: there is no `embed_text`.
            LookalikeError, ValueError: as `vector` does.
        """
        if self.embed_text is None:
            raise Precondition(
                "the encoder has no text tower: search by image, id or vector, or give the "
                "fake service embed_text",
                reason=Reason.MODEL_MISMATCH,
                field=field,
            )
        if not text.strip():
            raise InvalidField(field, "the text is empty")
        return self._unit(self.embed_text(text), field)

    def _unit(self, given: VectorLike, field: str) -> F32:
        vector = np.asarray(given, dtype=np.float32)
        if vector.shape != (self.dimension,):
            raise ValueError(f"embed gave the shape {vector.shape}, not ({self.dimension},)")
        return normalise(vector, field=field)

    def facts(self, image: bytes) -> image_pb2.ImageFacts:
        """Return what is known of an image that is not decoded: its size and hash."""
        return image_pb2.ImageFacts(size_bytes=len(image), sha256=hashlib.sha256(image).digest())


def check_model(name: str) -> None:
    """Check that the model of that name or fingerprint is served; "" is the default one.

    Raises:
        NotFound: it is not.
    """
    if name not in ("", NAME, FINGERPRINT):
        raise NotFound(f'no model "{name}" is served', reason=Reason.MODEL_NOT_FOUND, field="model")
