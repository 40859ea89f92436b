"""Times, durations and values of fields."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from lookalike.v1 import filter_pb2
from lookalike.wire.vectors import F32
from lookalike_client.metadata_values import number
from lookalike_client.types import FieldValue

if TYPE_CHECKING:
    from google.protobuf.duration_pb2 import Duration
    from google.protobuf.timestamp_pb2 import Timestamp


def seconds(duration: Duration) -> float:
    """Return a duration in seconds."""
    return float(duration.ToNanoseconds() / 1e9)


def moment(stamp: Timestamp) -> datetime:
    """Return a timestamp as a time in UTC."""
    return stamp.ToDatetime(tzinfo=UTC)


def field_value(message: filter_pb2.FilterValue) -> FieldValue:
    """Return the string, number or boolean that a metadata field holds."""
    match message.WhichOneof("kind"):
        case "string_value":
            return message.string_value
        case "bool_value":
            return message.bool_value
        case _:
            return number(message.number_value)


def vectors(rows: Sequence[bytes]) -> F32:
    """Return vectors of one length, little-endian float32, as float32 [n, D]."""
    whole: F32 = np.frombuffer(b"".join(rows), dtype="<f4")
    return whole.reshape(len(rows), -1)
