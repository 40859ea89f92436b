"""Which model, from one line of text.

    NAME[@OPTION]...[=WEIGHTS]

NAME is efficientnet-lite2, efficientnet-lite0, torchvision:ARCHITECTURE,
timm:ARCHITECTURE, openclip:CONFIGURATION, onnx:FILE, python:FILE, style:palette,
style:texture or faces:FILE. WEIGHTS is a local file, without which the library downloads its
own; open_clip only those of a tag. What an OPTION can be is in
`embedder_service.models.options`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from embedder_service.models import lite, style
from embedder_service.models.definition import ModelError
from embedder_service.models.options import ModelOptions, OptionError, read_options

LIBRARIES = ("torchvision", "timm", "openclip", "onnx", "python", "style", "faces")
WEIGHTS_SUFFIXES = (".safetensors", ".pth", ".pt", ".bin", ".ckpt", ".tar")

# What stands behind the file may hold slashes and dots too.
_FILES = {
    "onnx": re.compile(r"(.+?\.onnx)((?:@.*)?)()", re.IGNORECASE | re.DOTALL),
    "faces": re.compile(r"(.+?\.safetensors)((?:@.*)?)()", re.IGNORECASE | re.DOTALL),
    "python": re.compile(r"(.+?\.py)((?:@[^=]*)?)(?:=(.*))?", re.DOTALL),
}
_FILE_FORMS = {
    "onnx": "onnx:FILE, with a file that ends in .onnx",
    "faces": "faces:FILE, with a file that ends in .safetensors",
    "python": "python:FILE, with a file that ends in .py",
}

_FORMS = (
    f"{', '.join(lite.NAMES)}, torchvision:NAME, timm:NAME, openclip:NAME, onnx:FILE, "
    "python:FILE, style:palette, style:texture or faces:FILE"
)


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A model as it was asked for.

    `library` is empty for the built-in ones; `architecture` is the path of the file
    for "onnx", "python" and "faces", and may be one for "openclip".
    """

    library: str
    architecture: str
    options: ModelOptions = field(default_factory=ModelOptions)
    weights: Path | None = None

    @property
    def text(self) -> str:
        """The line that `parse` reads as this spec."""
        text = self.model + self.options.text
        return f"{text}={self.weights}" if self.weights else text

    @property
    def model(self) -> str:
        """Library and architecture, such as "timm:resnet18"."""
        return f"{self.library}:{self.architecture}" if self.library else self.architecture

    @property
    def name(self) -> str:
        """The name that it is served under, such as "timm:resnet18@gem": without folders."""
        model = self.model
        if self.library in _FILES or self.architecture.endswith(".json"):
            model = f"{self.library}:{Path(self.architecture).name}"
        return model + self.options.name


def parse(text: str) -> ModelSpec:
    """Return the spec that `text` describes.

    Raises:
        ModelError: it is not of the form above; the message says what to change.
    """
    library, colon, rest = text.strip().partition(":")
    if library in _FILES:
        file = _FILES[library].fullmatch(rest)
        if file is None:
            raise ModelError(f"model {text!r}: write {_FILE_FORMS[library]}")
        architecture, weights = file[1], file[3] or ""
        words = file[2].split("@")[1:]
    else:
        library = library if colon and "=" not in library and "@" not in library else ""
        head, _, weights = (rest if library else text.strip()).partition("=")
        architecture, *words = head.split("@")
    if library and (library not in LIBRARIES or not architecture):
        raise ModelError(f"model {text!r}: write {_FORMS}")
    if not library and architecture not in lite.NAMES:
        raise ModelError(f"model {text!r}: the name is one of {_FORMS}")
    if library == "style" and architecture not in style.NAMES:
        raise ModelError(f"model {text!r}: write style:{' or style:'.join(style.NAMES)}")
    if library in ("", "style") and weights:
        raise ModelError(
            f"model {text!r}: {architecture} comes with its own weights; leave ={weights} away"
        )
    try:
        options = read_options(words, library)
    except OptionError as error:
        raise ModelError(f"model {text!r}: {error}") from error
    return ModelSpec(library, architecture, options, _weights(text, weights))


def _weights(text: str, weights: str) -> Path | None:
    if not weights:
        return None
    path = Path(weights)
    if path.suffix.lower() in WEIGHTS_SUFFIXES:
        return path
    if "@" in path.suffix:
        raise ModelError(f"model {text!r}: options stand before the weights: NAME@OPTION=WEIGHTS")
    raise ModelError(
        f"model {text!r}: weights are a {', '.join(WEIGHTS_SUFFIXES[:-1])} or "
        f"{WEIGHTS_SUFFIXES[-1]} file, not {path.name}"
    )
