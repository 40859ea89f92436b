"""What is looked up when a run's mutations have ended: outcomes that were not told, and
marks of what was stored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from lookalike.wire.errors import Reason, Unavailable
from lookalike_client import Client
from lookalike_client.indexing.ledger import Ledger
from lookalike_client.types import Fields, MutationResult, MutationStatus

# Items that are asked for in one request.
_CHUNK = 500
_NOTHING = Fields(metadata=False)
_FACTS = Fields(metadata=False, facts=True)


def look_up_untold(client: Client, collection: str, ledger: Ledger) -> None:
    """Settle what the service says has ended and told no outcome of.

    Outcomes are kept by the queue's server: those that it forgot before they were read
    are not told again. What is stored, or listed as a failure, ended so; the rest is lost.

    Raises:
        LookalikeError: the service is away, or the collection is gone.
    """
    for result in _untold(client, collection, ledger.open()):
        ledger.end(result)


def note_marks(client: Client, collection: str, ledger: Ledger) -> None:
    """Note which images that a run stored are blank, and which lack their end.

    Raises:
        LookalikeError: the service is away, or the collection is gone.
    """
    for item_id, blank, truncated in _marks(client, collection, ledger.stored_ids):
        if blank:
            ledger.blank.append(item_id)
        if truncated:
            ledger.truncated.append(item_id)


def _untold(
    client: Client, collection: str, versions: Mapping[str, int]
) -> Iterator[MutationResult]:
    left = dict(versions)
    for chunk in _chunks(list(versions)):
        for item in client.get(collection, chunk, fields=_NOTHING).items:
            if item.version >= left[item.id]:
                same = item.version == left.pop(item.id)
                status = MutationStatus.APPLIED if same else MutationStatus.SUPERSEDED
                yield MutationResult(item.id, status, item.version)
    if not left:
        return
    for failure in client.failures(collection):
        if left.get(failure.id) != failure.version:
            continue
        del left[failure.id]
        near = failure.near_duplicate
        if near is not None:
            status = MutationStatus.REJECTED_DUPLICATE
            yield MutationResult(failure.id, status, failure.version, None, near)
        else:
            yield MutationResult(failure.id, MutationStatus.FAILED, failure.version, failure.error)
    for item_id, version in left.items():
        error = Unavailable(
            "neither stored nor listed as a failure: send it again", reason=Reason.INGEST_LOST
        )
        yield MutationResult(item_id, MutationStatus.FAILED, version, error)


def _marks(client: Client, collection: str, ids: list[str]) -> Iterator[tuple[str, bool, bool]]:
    for chunk in _chunks(sorted(set(ids))):
        for item in client.get(collection, chunk, fields=_FACTS).items:
            if item.facts is not None:
                yield item.id, item.facts.blank, item.facts.truncated


def _chunks(ids: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(ids), _CHUNK):
        yield ids[start : start + _CHUNK]
