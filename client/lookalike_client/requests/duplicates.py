"""Requests about duplicates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lookalike.v1 import duplicates_pb2 as pb
from lookalike.wire.errors import InvalidField
from lookalike_client.requests.bounds import check_id, parts
from lookalike_client.requests.filters import FilterLike, condition
from lookalike_client.types import DuplicateDecision, DuplicateKind, DuplicateVerdict

_VERDICTS = {
    DuplicateVerdict.UNDECIDED: pb.DUPLICATE_VERDICT_UNSPECIFIED,
    DuplicateVerdict.DUPLICATE: pb.DUPLICATE_VERDICT_DUPLICATE,
    DuplicateVerdict.DIFFERENT: pb.DUPLICATE_VERDICT_DIFFERENT,
    DuplicateVerdict.KEEP: pb.DUPLICATE_VERDICT_KEEP,
    DuplicateVerdict.IGNORE: pb.DUPLICATE_VERDICT_IGNORE,
}


def find_duplicates(
    collection: str,
    *,
    filter: FilterLike,
    threshold: float | None,
    kinds: Sequence[DuplicateKind],
    since_version: int,
    capture_time_field: str,
    burst_seconds: float,
    turned: bool,
) -> pb.FindDuplicatesRequest:
    """Return a search for duplicates.

    Raises:
        InvalidField: a kind is none, or a number cannot be sent.
    """
    try:
        return pb.FindDuplicatesRequest(
            collection=collection,
            filter=condition(filter),
            threshold=threshold,
            kinds=[
                pb.DuplicateKind.Value(f"DUPLICATE_KIND_{DuplicateKind(each).upper()}")
                for each in kinds
            ],
            since_version=since_version,
            capture_time_field=capture_time_field,
            burst_seconds=burst_seconds,
            turned=turned,
        )
    except (TypeError, ValueError) as error:
        raise InvalidField("kinds", f"or a number beside them cannot be sent: {error}") from error


def decisions(
    collection: str, made: Sequence[DuplicateDecision]
) -> Iterator[pb.DecideDuplicatesRequest]:
    """Yield requests of as many decisions as one may hold.

    Raises:
        InvalidField: an id or a verdict cannot be sent.
    """
    for some in parts([_decision(each) for each in made], pb.DuplicateDecision.ByteSize):
        yield pb.DecideDuplicatesRequest(collection=collection, decisions=some)


def _decision(made: DuplicateDecision) -> pb.DuplicateDecision:
    check_id(made.id)
    verdict = _VERDICTS.get(made.verdict)
    if verdict is None:
        raise InvalidField("verdict", f"{made.verdict!r} is none of the verdicts")
    return pb.DuplicateDecision(id=made.id, other_id=made.other_id, verdict=verdict)
