"""Calibration: requests to options, and answers and decisions to messages."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from lookalike.v1 import calibration_pb2 as pb
from lookalike.wire.errors import InvalidField, NotFound, Precondition, Reason
from search_service import limits
from search_service.domain.collection import (
    Calibration,
    CalibrationMode,
    CollectionSpec,
    ConstrainedMeasure,
)
from search_service.servicers.translate import read_path, timestamp_of
from search_service.servicers.vectors import unit_vector

_MOST_PAIRS = 100_000
_MOST_COPIES = 20_000
_MOST_QUERIES = 100_000
_DEFAULT_QUERIES = 2_000
_DEFAULT_CONFIDENCE = 0.95
_COPIES_FILE = "copies"
_MODES = {
    pb.CALIBRATION_MODE_UNSPECIFIED: CalibrationMode.BOUND,
    pb.CALIBRATION_MODE_BOUND: CalibrationMode.BOUND,
    pb.CALIBRATION_MODE_POINT: CalibrationMode.POINT,
}
_MODE_MESSAGES = {mode: number for number, mode in _MODES.items()}


def calibration_options(
    request: pb.CalibrateRequest, spec: CollectionSpec
) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Return the options of a calibration, and the files that it reads, by name.

    Raises:
        InvalidField: naming the field.
    """
    mode = _MODES.get(request.mode)
    if mode is None:
        raise InvalidField("mode", "is none of the modes")
    measure, value = _constraint(request)
    confidence = request.confidence or _DEFAULT_CONFIDENCE
    if not 0.5 <= confidence < 1.0:
        raise InvalidField("confidence", "must be at least 0.5 and below 1")
    options: dict[str, Any] = {
        "mode": mode,
        "measure": measure,
        "value": value,
        "confidence": confidence,
    }
    match request.WhichOneof("evidence"):
        case "pairs":
            return options | _pairs(request.pairs), {}
        case "labels":
            return options | _labels(request.labels), {}
        case "copies":
            named, vectors = _copies(request.copies, spec)
            return options | named, {_COPIES_FILE: vectors}
        case _:
            raise InvalidField(
                "evidence", "give pairs, labels, copies, or a collection to take it from"
            )


def made_decision(
    content: Mapping[str, Any], options: Mapping[str, Any], spec: CollectionSpec
) -> Calibration:
    """Return the decision that an analysis came to."""
    return Calibration(
        threshold=content["threshold"],
        model_fingerprint=spec.model_fingerprint,
        mode=options["mode"],
        measure=options["measure"],
        value=options["value"],
        confidence=options["confidence"],
        images=content["images"],
        gallery_items=content["gallery_items"],
        create_time_us=time.time_ns() // 1_000,
    )


def decision_of(other: CollectionSpec, spec: CollectionSpec) -> Calibration:
    """Return another collection's decision, for use with this one.

    Raises:
        NotFound: it has none.
        Precondition: it is of another model.
    """
    decision = other.calibration
    if decision is None:
        raise NotFound(
            f'collection "{other.name}" keeps no calibrated threshold: calibrate it first',
            reason=Reason.COLLECTION_NOT_FOUND,
            field="from_collection",
        )
    if not spec.model_fingerprint:
        raise Precondition(
            f'"{spec.name}" holds vectors that callers make: nothing says that those of '
            f'"{other.name}" are of the same model; calibrate this collection',
            reason=Reason.MODEL_MISMATCH,
        )
    if decision.model_fingerprint != spec.model_fingerprint:
        raise Precondition(
            f'the threshold of "{other.name}" is of model "{decision.model_fingerprint}", '
            f'not of "{spec.model_fingerprint}": scores of one model say nothing about '
            "another's; calibrate this collection",
            reason=Reason.MODEL_MISMATCH,
        )
    return decision


def kept_threshold(spec: CollectionSpec, field: str) -> float:
    """Return the threshold that a collection keeps; `field` is where one could be given.

    Raises:
        InvalidField: it keeps none.
        Precondition: it is of another model.
    """
    kept = spec.calibration
    if kept is None:
        raise InvalidField(
            field,
            "give one, or calibrate the collection and keep the result: which cosine tells "
            "duplicates depends on the model and on what is in the collection",
        )
    if kept.model_fingerprint != spec.model_fingerprint:
        raise Precondition(
            f'the threshold that "{spec.name}" keeps is of model "{kept.model_fingerprint}", not '
            f'of "{spec.model_fingerprint}": calibrate the collection again',
            reason=Reason.MODEL_MISMATCH,
        )
    return kept.threshold


def calibration_report(content: Mapping[str, Any], decision: Calibration) -> pb.CalibrationReport:
    """Return the report of what an analysis said."""
    return pb.CalibrationReport(
        decision=decision_message(decision),
        curve=[pb.CalibrationPoint(**point) for point in content["curve"]],
        **{
            name: content[name]
            for name in (
                "precision",
                "recall",
                "false_positive_rate",
                "precision_low",
                "false_positive_rate_high",
                "recall_low",
                "pairs_alike",
                "pairs_other",
                "alike_scores",
                "other_scores",
            )
        },
    )


def decision_message(decision: Calibration) -> pb.Calibration:
    """Return a decision as the contract has it."""
    precise = decision.measure is ConstrainedMeasure.PRECISION
    message = pb.Calibration(
        threshold=decision.threshold,
        model_fingerprint=decision.model_fingerprint,
        mode=_MODE_MESSAGES[decision.mode],
        confidence=decision.confidence,
        images=decision.images,
        gallery_items=decision.gallery_items,
        create_time=timestamp_of(decision.create_time_us),
    )
    if precise:
        message.precision_at_least = decision.value
    else:
        message.false_positive_rate_at_most = decision.value
    return message


def _constraint(request: pb.CalibrateRequest) -> tuple[ConstrainedMeasure, float]:
    name = request.WhichOneof("constraint")
    if name is None:
        raise InvalidField(
            "constraint", "say which precision, or which false-positive rate, must hold"
        )
    value: float = getattr(request, name)
    if not 0.0 < value < 1.0:
        raise InvalidField(name, "must be above 0 and below 1")
    if name == "precision_at_least":
        return ConstrainedMeasure.PRECISION, value
    return ConstrainedMeasure.FALSE_POSITIVE_RATE, value


def _pairs(evidence: pb.LabelledPairs) -> dict[str, Any]:
    limits.check_count("pairs.pairs", len(evidence.pairs), _MOST_PAIRS)
    for place, pair in enumerate(evidence.pairs):
        limits.check_id(pair.id, f"pairs.pairs[{place}].id")
        limits.check_id(pair.other_id, f"pairs.pairs[{place}].other_id")
        if pair.id == pair.other_id:
            raise InvalidField(f"pairs.pairs[{place}].other_id", "is the same item as `id`")
    return {
        "source": "pairs",
        "field": "pairs",
        "pairs": [(pair.id, pair.other_id, pair.alike) for pair in evidence.pairs],
    }


def _labels(evidence: pb.LabelEvidence) -> dict[str, Any]:
    most = evidence.max_queries or _DEFAULT_QUERIES
    return {
        "source": "labels",
        "field": "labels",
        "label_path": list(read_path(evidence.field, "labels.field")),
        "most_queries": limits.check_range("labels.max_queries", most, 1, _MOST_QUERIES),
        "seed": evidence.seed,
    }


def _copies(evidence: pb.CopyEvidence, spec: CollectionSpec) -> tuple[dict[str, Any], bytes]:
    limits.check_count("copies.copies", len(evidence.copies), _MOST_COPIES)
    vectors = []
    for place, copy in enumerate(evidence.copies):
        field = f"copies.copies[{place}]"
        limits.check_id(copy.source_id, f"{field}.source_id")
        vector = unit_vector(copy.vector_f32_le, spec.dimension, f"{field}.vector_f32_le")
        vectors.append(vector.astype("<f4").tobytes())
    ids = [copy.source_id for copy in evidence.copies]
    return {"source": "copies", "field": "copies", "sources": ids}, b"".join(vectors)
