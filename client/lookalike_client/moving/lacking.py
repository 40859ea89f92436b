"""Why pictures are missing in the new collection, as far as the service knows."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice

from lookalike_client import Client
from lookalike_client.types import IngestFailure

# As many of each are read: enough to be shown, whatever the size of the collection.
_MOST_FAILURES = 1_000
_MOST_ITEMS = 1_000


@dataclass(frozen=True, slots=True)
class Lacking:
    """Items that lack a picture: those whose picture was tried and failed, by id, and those
    of which none was sent, with how many pictures they have. Of very many, the first."""

    failed: dict[str, IngestFailure] = field(default_factory=dict)
    not_sent: dict[str, int] = field(default_factory=dict)


def lacking(client: Client, collection: str) -> Lacking:
    """Say of items that a collection of a pair lacks what became of their pictures."""
    failures: dict[str, IngestFailure] = {}
    for each in islice(client.failures(collection), _MOST_FAILURES):
        failures.setdefault(each.id, each)  # the newest comes first
    found = Lacking()
    for item in islice(client.reembeddings.missing(collection), _MOST_ITEMS):
        failure = failures.get(item.id)
        if failure is not None and failure.version == item.version:
            found.failed[item.id] = failure
        else:
            found.not_sent[item.id] = item.pictures
    return found
