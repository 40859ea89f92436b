"""Which model, from one line of text.

    NAME[@POOLING][=WEIGHTS]

NAME is efficientnet-lite2, efficientnet-lite0, torchvision:ARCHITECTURE or
timm:ARCHITECTURE; POOLING is avg (the default), max or gem; WEIGHTS is a local
.safetensors, .pth or .pt file, without which the library downloads its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from embedder_service.models import lite
from embedder_service.models.definition import POOLINGS, ModelError

LIBRARIES = ("torchvision", "timm")


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A model as it was asked for; `library` is empty for the built-in ones."""

    library: str
    architecture: str
    pooling: str
    weights: Path | None

    @property
    def text(self) -> str:
        """The line that `parse` reads as this spec."""
        return f"{self.name}={self.weights}" if self.weights else self.name

    @property
    def name(self) -> str:
        """The name that it is served under, such as "timm:resnet18@gem"."""
        name = f"{self.library}:{self.architecture}" if self.library else self.architecture
        return name if self.pooling == "avg" else f"{name}@{self.pooling}"


def parse(text: str) -> ModelSpec:
    """Return the spec that `text` describes.

    Raises:
        ModelError: it is not of the form above.
    """
    head, _, weights = text.strip().partition("=")
    name, _, pooling = head.partition("@")
    library, separator, architecture = name.partition(":")
    if not separator:
        library, architecture = "", name
    if pooling not in ("", *POOLINGS):
        raise ModelError(f"model {text!r}: the pooling is one of {', '.join(POOLINGS)}")
    if library:
        if library not in LIBRARIES or not architecture:
            raise ModelError(f"model {text!r}: write torchvision:NAME or timm:NAME")
    elif architecture not in lite.NAMES:
        raise ModelError(
            f"model {text!r}: one of {', '.join(lite.NAMES)}, torchvision:NAME or timm:NAME"
        )
    elif weights:
        raise ModelError(f"model {text!r}: {architecture} comes with its own weights")
    return ModelSpec(library, architecture, pooling or "avg", Path(weights) if weights else None)
