"""How replicas and partitions are, as frozen values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum


class ReplicaState(Enum):
    """What a replica does; numbers as in `lookalike.v1.ReplicaState`."""

    AWAY = 0
    RECOVERING = 1
    SERVING = 2
    FAILED = 3


@dataclass(frozen=True, slots=True)
class ReplicaStatus:
    """A replica; `trouble` says why it does not serve.

    `lacks` is the entry up to which it lacks some that neither the log nor a snapshot has, 0
    where that is not so or not known.
    """

    number: int
    state: ReplicaState = ReplicaState.AWAY
    node: str = ""
    position: int = 0
    lag_entries: int = 0
    items: int = 0
    trouble: str = ""
    lacks: int = 0


@dataclass(frozen=True, slots=True)
class PartitionStatus:
    """A partition, its log, and its replicas in the order of their numbers."""

    number: int
    log_position: int
    log_entries: int
    snapshot_position: int
    replicas: Sequence[ReplicaStatus]
