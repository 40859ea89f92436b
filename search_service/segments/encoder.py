"""The form of a vector that the graph is built on.

A graph over the leading principal components, not normalised again and compared
by squared distance, beat the full-width one in recall, speed, build time and
reachability; the exact vector re-ranks what it finds.

Bytes share one step among all components, and principal components differ in
spread: the leading ones set the step, and the others have few levels left. So the
components are rotated at random before they become bytes, which changes no distance
and leaves all with about the same spread. Of 60,000 embeddings of 512 dimensions,
reduced to 256, the bytes are then off by 0.009 % of their energy in place of 0.12 %,
0.17 % in place of 1.06 % of the nodes miss themselves (bf16: 0.19 %), and recall is
that of bf16, which takes about twice the time. Rotating before quantising is known
from iterative quantisation (Gong and Lazebnik, CVPR 2011).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from search_service.compiled.nibbles import LEVELS_A_STEP
from search_service.domain.arrays import F32, I8
from search_service.domain.collection import Dtype
from search_service.segments.errors import SegmentDamaged
from search_service.segments.manifest import ENCODER, Manifest

# 16 times the largest dimension (4,096): the leading directions are stable, and
# the covariance of 512 dimensions costs half a second.
SAMPLE_ROWS = 65_536
# An i8 step spans this quantile of the absolute components; what lies beyond is clipped.
_QUANTUM_QUANTILE = 0.9999
# Of 16 equal steps, what loses least of a normal distribution, in its deviations (Max,
# "Quantizing for minimum distortion", IRE Transactions 1960); a rotation makes the
# components about normal.
_NIBBLE_STEP = 0.3352
# Any rotation will do; the same each time makes a build repeatable.
_ROTATION_SEED = 20_111
_QUANTISED = (Dtype.I8, Dtype.I4)


@dataclass(frozen=True, slots=True)
class Encoder:
    """Maps float32 [B, D] to what the graph holds, [B, G].

    `mean` is float32 [D] and `basis` float32 [D, G] with orthonormal columns;
    G = 0 stands for no reduction. `quantum` is the step of the i8 form, which i4 is made
    of too, 0.0 for other types. `captured_energy` is the share of variance that the basis keeps.
    """

    mean: F32
    basis: F32
    quantum: float
    captured_energy: float

    @staticmethod
    def identity(dimension: int) -> Encoder:
        """Return the encoder that changes nothing."""
        mean = np.zeros(dimension, dtype=np.float32)
        return Encoder(mean, np.empty((dimension, 0), dtype=np.float32), 0.0, 1.0)

    @property
    def reduces(self) -> bool:
        """Whether the graph is over principal components."""
        return bool(self.basis.shape[1])

    @property
    def width(self) -> int:
        """Length of the encoded vectors."""
        return int(self.basis.shape[1] if self.reduces else self.basis.shape[0])

    def encode(self, vectors: F32) -> F32 | I8:
        """Return the graph's form of float32 [B, D]: float32 or int8 [B, G]."""
        reduced = self.reduce(vectors)
        if self.quantum == 0.0:
            return reduced
        levels = np.rint(reduced * np.float32(1.0 / self.quantum))
        quantised: I8 = np.clip(levels, -127, 127).astype(np.int8)
        return quantised

    def reduce(self, vectors: F32) -> F32:
        """Return what is quantised of float32 [B, D]: float32 [B, G], the same where G is 0."""
        reduced = (vectors - self.mean) @ self.basis if self.reduces else vectors
        return np.ascontiguousarray(reduced, dtype=np.float32)

    def energy_of(self, vectors: F32) -> float:
        """Return the share of the variance of float32 [n, D] that the basis keeps."""
        if not self.reduces:
            return 1.0
        centred = vectors - self.mean
        whole = float(np.square(centred, dtype=np.float64).sum())
        kept = float(np.square(centred @ self.basis, dtype=np.float64).sum())
        return kept / whole if whole > 0.0 else 1.0

    def write(self, path: Path) -> None:
        """Write mean and basis; the caller syncs."""
        path.write_bytes(self.mean.astype("<f4").tobytes() + self.basis.astype("<f4").tobytes())

    @staticmethod
    def read(
        path: Path, dimension: int, graph_dimension: int, quantum: float, captured_energy: float
    ) -> Encoder:
        """Read what `write` wrote, from a file whose checksum has been checked.

        Raises:
            SegmentDamaged: the dimensions do not fit the file.
        """
        values = np.fromfile(path, dtype="<f4")
        if len(values) != dimension * (1 + graph_dimension):
            raise SegmentDamaged(f"{path.name}: does not fit its manifest")
        basis = values[dimension:].reshape(dimension, graph_dimension)
        return Encoder(values[:dimension], basis, quantum, captured_energy)


def read_encoder(directory: Path, manifest: Manifest) -> Encoder:
    """Read the encoder of a segment, whose file has been checked.

    Raises:
        SegmentDamaged: it does not fit the manifest.
    """
    return Encoder.read(
        directory / ENCODER,
        manifest.identity.dimension,
        manifest.graph_dimension,
        manifest.quantum,
        manifest.captured_energy,
    )


def fit_encoder(sample: F32, graph_dimension: int, dtype: Dtype) -> Encoder:
    """Fit to rows, float32 [n, D]; `graph_dimension` 0, or D and more, reduces nothing."""
    dimension = sample.shape[1]
    encoder = Encoder.identity(dimension)
    graph_dimension = fitted_dimension(dimension, graph_dimension, dtype)
    if graph_dimension:
        mean = sample.mean(axis=0, dtype=np.float64).astype(np.float32)
        centred = sample - mean
        # Ascending eigenvalues: the last columns are the leading directions.
        values, vectors = np.linalg.eigh((centred.T @ centred).astype(np.float64))
        basis = np.ascontiguousarray(vectors[:, ::-1][:, :graph_dimension], dtype=np.float32)
        if dtype in _QUANTISED:
            basis = basis @ _rotation(graph_dimension)
        energy = float(values[-graph_dimension:].sum() / max(values.sum(), 1e-30))
        encoder = Encoder(mean, basis, 0.0, energy)
    if dtype not in _QUANTISED:
        return encoder
    if dtype is Dtype.I4:
        deviation = float(np.sqrt(np.square(encoder.reduce(sample), dtype=np.float64).mean()))
        return replace(encoder, quantum=max(_NIBBLE_STEP * deviation, 1e-12) / LEVELS_A_STEP)
    extent = float(np.quantile(np.abs(encoder.encode(sample)), _QUANTUM_QUANTILE))
    return replace(encoder, quantum=max(extent, 1e-12) / 127.0)


def fitted_dimension(dimension: int, graph_dimension: int, dtype: Dtype) -> int:
    """Return how many components a basis has for vectors of `dimension`; 0: there is none.

    Sixteen steps need components of one spread: a rotation, where nothing is left out too.
    """
    if 0 < graph_dimension < dimension:
        return graph_dimension
    return dimension if dtype is Dtype.I4 else 0


def _rotation(width: int) -> F32:
    """Return an orthogonal matrix, float32 [width, width]."""
    gaussian = np.random.default_rng(_ROTATION_SEED).standard_normal((width, width))
    rotation: F32 = np.linalg.qr(gaussian)[0].astype(np.float32)
    return rotation
