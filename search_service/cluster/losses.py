"""Entries that nobody has any more: where to go on without them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from search_service.cluster.status import ReplicaState, ReplicaStatus

# For a snapshot that is being put into shared storage to be there.
_NOBODY_HAS_THEM_S = 60.0


class Losses:
    """Finds partitions that would wait for ever; used by one thread."""

    def __init__(self) -> None:
        self._since_s: dict[tuple[str, int], float] = {}

    def look(
        self, uid: str, partitions: Sequence[Sequence[ReplicaStatus]], now_s: float
    ) -> Iterator[tuple[int, int, int]]:
        """Give partition, replica and position of who is to go on past what it lacks.

        Only where every replica answers, and each lacks what the log has no more: then it is
        on none of their disks, and in no snapshot. The one that has most goes on.
        """
        for number, replicas in enumerate(partitions):
            if not all(each.state is ReplicaState.RECOVERING and each.lacks for each in replicas):
                self._since_s.pop((uid, number), None)
            elif now_s - self._since_s.setdefault((uid, number), now_s) > _NOBODY_HAS_THEM_S:
                most = max(replicas, key=lambda each: (each.position, -each.number))
                yield number, most.number, most.lacks
