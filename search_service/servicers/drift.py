"""What is known of the drift of queries, as the contract has it."""

from __future__ import annotations

from google.protobuf.timestamp_pb2 import Timestamp

from lookalike.v1 import drift_pb2 as pb
from search_service.drift.monitor import DriftState
from search_service.drift.view import DriftView
from search_service.servicers.translate import timestamp_of

_STATES = {
    None: pb.DRIFT_STATE_OFF,
    DriftState.LEARNING: pb.DRIFT_STATE_LEARNING,
    DriftState.WATCHING: pb.DRIFT_STATE_WATCHING,
    DriftState.DRIFTED: pb.DRIFT_STATE_DRIFTED,
}


def drift_message(view: DriftView) -> pb.Drift:
    """Return what is known as a message."""
    return pb.Drift(
        state=_STATES[view.state],
        model_fingerprint=view.fingerprint,
        reference_queries=view.reference_queries,
        reference_wanted=view.reference_wanted,
        watched_queries=view.watched_queries,
        mean_queries_to_false_alarm=view.mean_queries,
        measures=[
            pb.DriftMeasure(
                name=each.name,
                evidence=each.evidence,
                reference_percentiles=each.reference,
                recent_percentiles=each.recent,
            )
            for each in view.measures
        ],
        points=[
            pb.DriftPoint(
                time=_time(each.time_s),
                queries=each.queries,
                evidence=each.evidence,
                medians=each.medians,
            )
            for each in view.points
        ],
        alarms=[
            pb.DriftAlarm(time=_time(each.time_s), queries=each.queries, measures=each.measures)
            for each in view.alarms
        ],
        read_time=_time(view.time_s),
    )


def _time(time_s: float) -> Timestamp:
    return timestamp_of(int(time_s * 1_000_000))
