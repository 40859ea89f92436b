"""The drift of queries."""

from __future__ import annotations

import math

from lookalike.v1 import drift_pb2
from lookalike_client import types
from lookalike_client.convert.values import moment

_STATES = {
    drift_pb2.DRIFT_STATE_OFF: types.DriftState.OFF,
    drift_pb2.DRIFT_STATE_LEARNING: types.DriftState.LEARNING,
    drift_pb2.DRIFT_STATE_WATCHING: types.DriftState.WATCHING,
    drift_pb2.DRIFT_STATE_DRIFTED: types.DriftState.DRIFTED,
}


def drift(message: drift_pb2.Drift) -> types.Drift:
    """Return what is known of queries."""
    return types.Drift(
        state=_STATES[message.state],
        model_fingerprint=message.model_fingerprint,
        reference_queries=message.reference_queries,
        reference_wanted=message.reference_wanted,
        watched_queries=message.watched_queries,
        mean_queries_to_false_alarm=message.mean_queries_to_false_alarm,
        measures=[
            types.DriftMeasure(
                each.name,
                each.evidence,
                list(each.reference_percentiles),
                list(each.recent_percentiles),
            )
            for each in message.measures
        ],
        points=[
            types.DriftPoint(
                time=moment(each.time),
                queries=each.queries,
                evidence=each.evidence,
                medians=[None if math.isnan(value) else value for value in each.medians],
            )
            for each in message.points
        ],
        alarms=[
            types.DriftAlarm(moment(each.time), each.queries, list(each.measures))
            for each in message.alarms
        ],
        read_time=moment(message.read_time),
    )
