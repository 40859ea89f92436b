"""Names of the queue's keys."""

from __future__ import annotations

from dataclasses import dataclass

GROUP = "workers"
# Streams among which jobs are spread, so that a worker can take from each job in
# turn. As many jobs go side by side; those beyond share streams.
LANES = 8


@dataclass(frozen=True, slots=True)
class QueueKeys:
    """Names of the keys; `prefix` lets several systems share a server.

    All share one hash tag, so that the scripts that touch several of them also
    run on a Redis Cluster.
    """

    prefix: str = "lookalike"

    def _key(self, name: str) -> str:
        return f"{{{self.prefix}}}:{name}"

    @property
    def stream(self) -> str:
        """Stream of accepted mutations."""
        return self._key("queue")

    def lane(self, number: int) -> str:
        """Stream of accepted mutations number 0 to LANES - 1; the first is `stream`."""
        return self.stream if number == 0 else self._key(f"queue:{number}")

    @property
    def lanes(self) -> tuple[str, ...]:
        """All streams of accepted mutations, by number."""
        return tuple(self.lane(number) for number in range(LANES))

    @property
    def ended(self) -> str:
        """List of what has ended, for the front door's ledger."""
        return self._key("ended")

    def failed(self, collection_uid: str) -> str:
        """Hash from the ids of a collection to their failures in `dead`."""
        return self._key(f"failed:{collection_uid}")

    @property
    def stream_bytes(self) -> str:
        """Counter of bytes in the queue."""
        return self._key("queue-bytes")

    @property
    def attempts(self) -> str:
        """Hash of attempts by entry id."""
        return self._key("attempts")

    @property
    def dead(self) -> str:
        """Stream that lists the mutations given up."""
        return self._key("dead")

    @property
    def dead_bytes(self) -> str:
        """Counter of bytes kept for trying again."""
        return self._key("dead-bytes")

    def dead_entry(self, entry_key: str) -> str:
        """Hash with the fields of an entry that was given up."""
        return self._key(f"dead:{entry_key}")

    def versions(self, collection_uid: str) -> str:
        """Sorted set of a collection's versions that are queued or dead."""
        return self._key(f"versions:{collection_uid}")

    def job(self, job_id: str) -> str:
        """Hash with the counters of a job."""
        return self._key(f"job:{job_id}")

    def job_events(self, job_id: str) -> str:
        """Stream with the outcomes of a job."""
        return self._key(f"job:{job_id}:events")

    def worker(self, name: str) -> str:
        """Hash with a worker's sign of life."""
        return self._key(f"worker:{name}")
