"""Requests to calibrate a collection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from lookalike.v1 import calibration_pb2
from lookalike_client.inputs import VectorLike, vector_bytes
from lookalike_client.types import CalibrationMode

_MODES = {
    CalibrationMode.BOUND: calibration_pb2.CALIBRATION_MODE_BOUND,
    CalibrationMode.POINT: calibration_pb2.CALIBRATION_MODE_POINT,
}


@dataclass(frozen=True, slots=True)
class LabelledPairs:
    """Pairs of ids with whether they are alike."""

    pairs: Sequence[tuple[str, str, bool]]


@dataclass(frozen=True, slots=True)
class LabelEvidence:
    """Items are alike where they have the same value of a metadata field.

    At most `max_queries` items, drawn at random, are compared with all others.
    """

    field: str
    max_queries: int = 2_000
    seed: int = 0


@dataclass(frozen=True, slots=True)
class CopyEvidence:
    """Vectors of copies of images, each with the id of the item that it was made from."""

    copies: Sequence[tuple[str, VectorLike]]


@dataclass(frozen=True, slots=True)
class FromCollection:
    """Another collection of the same model, whose decision is taken over."""

    collection: str


Evidence: TypeAlias = LabelledPairs | LabelEvidence | CopyEvidence | FromCollection


def calibrate(
    collection: str,
    evidence: Evidence,
    *,
    precision_at_least: float | None,
    false_positive_rate_at_most: float | None,
    mode: CalibrationMode,
    confidence: float,
    keep: bool,
) -> calibration_pb2.CalibrateRequest:
    """Return the request.

    Raises:
        ValueError: both constraints are given.
    """
    if precision_at_least is not None and false_positive_rate_at_most is not None:
        raise ValueError("give precision_at_least or false_positive_rate_at_most, not both")
    request = calibration_pb2.CalibrateRequest(
        collection=collection,
        mode=_MODES[mode],
        confidence=confidence,
        keep=keep,
    )
    if precision_at_least is not None:
        request.precision_at_least = precision_at_least
    if false_positive_rate_at_most is not None:
        request.false_positive_rate_at_most = false_positive_rate_at_most
    match evidence:
        case LabelledPairs(pairs):
            request.pairs.pairs.extend(
                calibration_pb2.LabelledPair(id=id, other_id=other, alike=alike)
                for id, other, alike in pairs
            )
        case LabelEvidence(field, max_queries, seed):
            request.labels.field = field
            request.labels.max_queries = max_queries
            request.labels.seed = seed
        case CopyEvidence(copies):
            request.copies.copies.extend(
                calibration_pb2.ImageCopy(source_id=id, vector_f32_le=vector_bytes(vector))
                for id, vector in copies
            )
        case FromCollection(name):
            request.from_collection = name
    return request
