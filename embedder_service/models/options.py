"""What can be said of a model behind its name, each after an "@".

- How features become one vector: `avg`, `max`, `gem`; without one, as the model
  itself does.
- How a picture becomes a square: `crop`, `pad`, `squash`; without one, as the model's
  own data configuration says.
- `ground:white`: transparent pixels always show white, as in the vectors of the first
  releases; without it, they show what the picture is seen on.
- `projection:FILE`: a projection that `lookalike fit-projection` wrote.
- `tag:NAME`, for openclip:NAME: weights that open_clip publishes. Without a file of
  weights they are downloaded; with one, the pictures are made as for them.
- For onnx:FILE, which says nothing of its input: `size:PIXELS`, `mean:R/G/B`,
  `std:R/G/B` (of 0..1; one number stands for three), `crop_pct:SHARE`,
  `filter:NAME`, `output:NAME`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from embedder_service.preprocess import FILTERS, WHITE

POOLINGS = ("avg", "max", "gem")
SHAPES = ("crop", "pad", "squash")
# Libraries whose models give one vector and no map, with what stands behind their name.
_OWN_VECTORS = {"faces": "FILE", "onnx": "FILE", "python": "FILE", "openclip": "NAME"}

Triple = tuple[float, float, float]

_MOST_SIDE_PX = 4096


class OptionError(Exception):
    """An option cannot be; the message says what to write."""


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """Options, None or empty where nothing was said. `mean` and `std` are of 0..1."""

    pooling: str = ""
    shape: str = ""
    ground: str = ""
    projection: Path | None = None
    size: int | None = None
    mean: Triple | None = None
    std: Triple | None = None
    crop_pct: float | None = None
    filter: str = ""
    output: str = ""
    tag: str = ""

    @property
    def text(self) -> str:
        """The options as `read_options` reads them, each with its "@"."""
        return self._written(whole=True)

    @property
    def name(self) -> str:
        """The same without folders."""
        return self._written(whole=False)

    def _written(self, *, whole: bool) -> str:
        words = []
        for field in fields(self):
            value = getattr(self, field.name)
            if value in (None, ""):
                continue
            if field.name in ("pooling", "shape"):
                words.append(value)
            elif isinstance(value, tuple):
                words.append(f"{field.name}:{'/'.join(f'{part!r}' for part in value)}")
            elif isinstance(value, Path):
                words.append(f"{field.name}:{value if whole else value.name}")
            else:
                words.append(f"{field.name}:{value}")
        return "".join(f"@{word}" for word in words)


def read_options(words: Sequence[str], library: str) -> ModelOptions:
    """Return the options that `words` say of a model of `library`.

    Raises:
        OptionError: one is unknown, said twice, not one of this library's, or of a
            value that cannot be.
    """
    read = ModelOptions()
    seen: set[str] = set()
    for word in words:
        key, value = _read(word, library)
        if key in seen:
            raise OptionError(f"it has two options that say its {key}: leave @{word} away")
        seen.add(key)
        read = replace(read, **{key: value})
    return read


def _read(word: str, library: str) -> tuple[str, Any]:
    """Return the field that `word` is about, and its value."""
    if word == "pad" and library == "style":
        raise OptionError("@pad is not for style:…, to which the ground it adds is a look too")
    if word in SHAPES:
        return "shape", word
    if word in POOLINGS and library == "style":
        raise OptionError(f"@{word} is not for style:…, whose vector is made of all of a picture")
    if word in POOLINGS and library in _OWN_VECTORS:
        raise OptionError(
            f"@{word} is not for {library}:{_OWN_VECTORS[library]}, which gives its vector itself"
        )
    if word in POOLINGS:
        # Average is what the built-in ones do by themselves.
        return "pooling", "" if word == "avg" and not library else word
    key, colon, value = word.partition(":")
    if key == "projection" and value:
        return key, Path(value)
    if key == "ground":
        if value != WHITE:
            raise OptionError(f"@{word} is no ground; write @ground:{WHITE}, or leave it away")
        return key, value
    if key == "tag" and value:
        if library != "openclip":
            raise OptionError(f"@{word} is for openclip:NAME, whose weights have tags")
        return key, value
    if key in _READERS and colon:
        if library != "onnx":
            raise OptionError(f"@{key}:… is for onnx:FILE; other models say that themselves")
        return key, _READERS[key](value)
    known = [*(shape for shape in SHAPES if (shape, library) != ("pad", "style"))]
    known += [f"ground:{WHITE}", "projection:FILE"]
    if library == "onnx":
        known += [f"{each}:…" for each in _READERS]
    elif library == "openclip":
        known.append("tag:NAME")
    elif library not in ("python", "style", "faces"):
        known += POOLINGS
    raise OptionError(f"there is no option @{word}; write @{', @'.join(known)}")


def _size(value: str) -> int:
    if not value.isascii() or not value.isdigit() or not 1 <= int(value) <= _MOST_SIDE_PX:
        raise OptionError(f"@size:{value} is no side in pixels, 1 to {_MOST_SIDE_PX}")
    return int(value)


def _triple(key: str, value: str) -> Triple:
    parts = value.split("/")
    if len(parts) == 1:
        parts *= 3
    try:
        red, green, blue = (float(part) for part in parts)
    except ValueError as error:
        raise OptionError(
            f"@{key}:{value} is no number and no three, as in @{key}:0.485/0.456/0.406"
        ) from error
    if not all(math.isfinite(part) and abs(part) <= 1 for part in (red, green, blue)):
        raise OptionError(f"@{key}:{value} is not of 0..1, as in @{key}:0.485/0.456/0.406")
    return red, green, blue


def _std(value: str) -> Triple:
    triple = _triple("std", value)
    if min(triple) <= 0:
        raise OptionError(f"@std:{value} must be above 0")
    return triple


def _crop_pct(value: str) -> float:
    try:
        share = float(value)
    except ValueError:
        share = math.nan
    if not 0.05 <= share <= 1:
        raise OptionError(f"@crop_pct:{value} is no share of 0.05 to 1, as in 0.875")
    return share


def _filter(value: str) -> str:
    if value not in FILTERS:
        raise OptionError(f"@filter:{value} is none of {', '.join(FILTERS)}")
    return value


def _output(value: str) -> str:
    if not value:
        raise OptionError("@output: needs the name of an output")
    return value


_READERS: dict[str, Callable[[str], Any]] = {
    "size": _size,
    "mean": lambda value: _triple("mean", value),
    "std": _std,
    "crop_pct": _crop_pct,
    "filter": _filter,
    "output": _output,
}
