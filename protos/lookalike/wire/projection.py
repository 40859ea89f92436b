"""A linear map from a model's vectors to shorter ones, and the file that keeps it.

It is fitted by a client and applied by the embedder. The file is NumPy's .npz
without pickled objects: `header` (JSON), `mean` float32 [D] and `basis`
float32 [K, D].
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lookalike.wire.vectors import F32, LEAST_NORM

FORMAT = "lookalike-projection"
VERSION = 1

LEAST_DIMENSION = 128
MOST_DIMENSION = 1024

# Directions with less than this of the largest variance hold rounding noise, which
# whitening would blow up to the size of everything else.
_LEAST_VARIANCE = 1e-7


class ProjectionUnreadable(Exception):
    """No projection, or one of a later version; the message says what to do."""


class ProjectionUnfitted(Exception):
    """What was given does not determine a projection; the message says why."""


@dataclass(frozen=True, slots=True, eq=False)
class Projection:
    """`mean` float32 [D], `basis` float32 [K, D]: x becomes basis (x - mean), of unit length.

    With `whitened`, the basis divides each direction by its standard deviation.
    `energy` is the share of the variance that it keeps, `images` how many vectors it
    was fitted on, `model_fingerprint` the model that made them. `sha256` is of the
    file.
    """

    mean: F32
    basis: F32
    whitened: bool
    energy: float
    images: int
    model_fingerprint: str
    sha256: str = field(default="")

    @property
    def dimension(self) -> int:
        """The length of what it makes."""
        return int(self.basis.shape[0])

    @property
    def own_dimension(self) -> int:
        """The length of what it takes."""
        return int(self.basis.shape[1])

    def apply(self, vectors: F32) -> F32:
        """Return float32 [B, K] for float32 [B, D] of any length; not yet of unit length.

        NaN, infinity and vectors without direction become NaN.
        """
        wide = vectors.astype(np.float64)
        norms = np.linalg.norm(wide, axis=1, keepdims=True)
        with np.errstate(invalid="ignore", divide="ignore"):
            units: F32 = np.where(norms > LEAST_NORM, wide / norms, np.nan).astype(np.float32)
        shorter: F32 = ((units - self.mean) @ self.basis.T).astype(np.float32, copy=False)
        return shorter

    def save(self, path: Path) -> None:
        """Write the file; equal projections give equal bytes.

        Raises:
            OSError: it cannot be written.
        """
        header = {
            "format": FORMAT,
            "version": VERSION,
            "whitened": self.whitened,
            "energy": self.energy,
            "images": self.images,
            "model_fingerprint": self.model_fingerprint,
        }
        out = io.BytesIO()
        np.savez(out, header=np.array(json.dumps(header)), mean=self.mean, basis=self.basis)
        path.write_bytes(out.getvalue())

    @classmethod
    def load(cls, path: Path) -> Projection:
        """Return the projection that `path` holds.

        Raises:
            ProjectionUnreadable: there is none, or it is of a later version.
        """
        try:
            data = path.read_bytes()
        except OSError as error:
            raise ProjectionUnreadable(
                f"cannot read the projection {path}: {error.strerror}"
            ) from error
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
                header: dict[str, Any] = json.loads(str(arrays["header"]))
                mean, basis = arrays["mean"], arrays["basis"]
            if header["format"] != FORMAT:
                raise ValueError("another format")
            version = int(header["version"])
            if version == VERSION:
                return cls._checked(header, mean, basis, hashlib.sha256(data).hexdigest())
        except (ValueError, LookupError, TypeError, OSError, EOFError, zipfile.BadZipFile) as error:
            raise ProjectionUnreadable(
                f"{path} is no projection: write one with `lookalike fit-projection`"
            ) from error
        raise ProjectionUnreadable(
            f"the projection {path} has version {version}, and this release reads {VERSION}: "
            "update the embedder, or fit it again"
        )

    @classmethod
    def _checked(cls, header: dict[str, Any], mean: Any, basis: Any, sha256: str) -> Projection:
        if basis.ndim != 2 or mean.shape != basis.shape[1:] or not 1 <= len(basis) <= mean.size:
            raise ValueError("shapes")
        if {mean.dtype, basis.dtype} != {np.dtype(np.float32)}:
            raise ValueError("types")
        if not (np.isfinite(mean).all() and np.isfinite(basis).all()):
            raise ValueError("values")
        return cls(
            mean,
            basis,
            whitened=bool(header["whitened"]),
            energy=float(header["energy"]),
            images=int(header["images"]),
            model_fingerprint=str(header["model_fingerprint"]),
            sha256=sha256,
        )


class ProjectionFit:
    """Gathers vectors of one model, a batch at a time, and fits their projection."""

    def __init__(self, model_fingerprint: str) -> None:
        self._fingerprint = model_fingerprint
        self._sum: npt.NDArray[np.float64] | None = None
        self._products: npt.NDArray[np.float64] | None = None
        self.images = 0

    def add(self, vectors: F32) -> None:
        """Take float32 [B, D], each of unit length."""
        wide = vectors.astype(np.float64)
        if self._sum is None or self._products is None:
            self._sum = np.zeros(wide.shape[1])
            self._products = np.zeros((wide.shape[1], wide.shape[1]))
        self._sum += wide.sum(axis=0)
        self._products += wide.T @ wide
        self.images += len(wide)

    def projection(self, dimension: int, *, whiten: bool) -> Projection:
        """Return the principal components of what was added.

        Raises:
            ProjectionUnfitted: too few or too similar vectors, or `dimension` is no
                shortening of them.
        """
        if self._sum is None or self._products is None or self.images <= dimension:
            raise ProjectionUnfitted(
                f"{self.images:,} images cannot determine {dimension} dimensions: "
                f"at least {dimension + 1:,} are needed, ten times as many are better"
            )
        own = len(self._sum)
        if dimension > own:
            raise ProjectionUnfitted(
                f"the model's vectors have {own} dimensions already: take fewer than that"
            )
        mean = self._sum / self.images
        covariance = self._products / self.images - np.outer(mean, mean)
        variances, directions = np.linalg.eigh(covariance)
        variances, directions = variances[::-1][:dimension], directions[:, ::-1][:, :dimension]
        used = int((variances > _LEAST_VARIANCE * variances[0]).sum())
        if used < dimension:
            raise ProjectionUnfitted(
                f"the {self.images:,} images differ in {used} directions only, fewer than "
                f"{dimension}: add images, or take fewer dimensions"
            )
        # Signs are not determined: fix them, so that equal input gives an equal file.
        largest = np.abs(directions).argmax(axis=0)
        directions = directions * np.sign(directions[largest, np.arange(dimension)])
        basis = directions.T
        if whiten:
            basis = basis / np.sqrt(variances)[:, None]
        return Projection(
            mean.astype(np.float32),
            np.ascontiguousarray(basis, dtype=np.float32),
            whitened=whiten,
            energy=round(float(variances.sum() / np.trace(covariance)), 6),
            images=self.images,
            model_fingerprint=self._fingerprint,
        )
