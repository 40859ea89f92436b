"""Calibrations of collections."""

from __future__ import annotations

from lookalike.v1 import calibration_pb2
from lookalike_client import types
from lookalike_client.convert.values import moment

_MODES = {
    calibration_pb2.CALIBRATION_MODE_BOUND: types.CalibrationMode.BOUND,
    calibration_pb2.CALIBRATION_MODE_POINT: types.CalibrationMode.POINT,
}


def calibration(message: calibration_pb2.Calibration) -> types.Calibration:
    """Return a decision."""
    name = message.WhichOneof("constraint")
    precise = name == "precision_at_least"
    return types.Calibration(
        threshold=message.threshold,
        model_fingerprint=message.model_fingerprint,
        mode=_MODES[message.mode],
        precision_at_least=message.precision_at_least if precise else None,
        false_positive_rate_at_most=None if precise else message.false_positive_rate_at_most,
        confidence=message.confidence,
        images=message.images,
        gallery_items=message.gallery_items,
        create_time=moment(message.create_time),
    )


def calibration_report(message: calibration_pb2.CalibrationReport) -> types.CalibrationReport:
    """Return a report."""
    return types.CalibrationReport(
        decision=calibration(message.decision),
        precision=message.precision,
        recall=message.recall,
        false_positive_rate=message.false_positive_rate,
        precision_low=message.precision_low,
        false_positive_rate_high=message.false_positive_rate_high,
        recall_low=message.recall_low,
        pairs_alike=message.pairs_alike,
        pairs_other=message.pairs_other,
        curve=[
            types.CalibrationPoint(
                each.threshold, each.precision, each.recall, each.false_positive_rate
            )
            for each in message.curve
        ],
        alike_scores=list(message.alike_scores),
        other_scores=list(message.other_scores),
    )
