"""Requests about banks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypedDict

from lookalike.v1 import bank_pb2 as pb
from lookalike.wire.errors import InvalidField
from lookalike_client.inputs import MatchItem, image_bytes, vector_bytes
from lookalike_client.requests.bounds import check_id, not_negative
from lookalike_client.requests.filters import FilterLike, condition
from lookalike_client.types import KnownHash, MatchRule

# The contract's bound on hashes in one request.
_MOST_HASHES = 10_000
_DIGITS = 64


class MatchOptions(TypedDict, total=False):
    """How images are matched; what is left out has the service's default.

    `threshold` is the least cosine that matches, by default the calibrated one; cosines
    from `review_threshold` on are uncertain. PDQ hashes match within `pdq_distance` bits,
    by default 31, and are uncertain within `pdq_review_distance`. `rule` says which signals
    make a match, `limit` how many pieces of evidence are wanted, `filter` which items count,
    `exact` that vectors are compared with all items.
    """

    threshold: float
    review_threshold: float
    pdq_distance: int
    pdq_review_distance: int
    rule: MatchRule
    limit: int
    filter: FilterLike
    exact: bool


def match_options(options: MatchOptions) -> pb.MatchOptions:
    """Return how images are matched.

    Raises:
        InvalidField: an option cannot be sent.
    """
    message = pb.MatchOptions(filter=condition(options.get("filter")))
    try:
        for name in ("threshold", "review_threshold", "pdq_distance", "pdq_review_distance"):
            if options.get(name) is not None:
                setattr(message, name, options[name])
        message.limit = not_negative(options.get("limit", 0), "limit")
        message.exact = options.get("exact", False)
        rule = MatchRule(options.get("rule", MatchRule.ANY))
    except (TypeError, ValueError) as error:
        raise InvalidField("options", f"cannot be sent: {error}") from error
    message.rule = pb.MatchRule.Value(f"MATCH_RULE_{rule.upper()}")
    return message


def match_image(
    collection: str, item: MatchItem, options: pb.MatchOptions
) -> pb.MatchImagesRequest:
    """Return the request for an image; a path is read now.

    Raises:
        InvalidField: it holds nothing to match, or what cannot be sent.
        ImageUnreadable, LimitExceeded: see `image_bytes`.
        OSError: the file cannot be read.
    """
    request = pb.MatchImagesRequest(collection=collection, options=options)
    given = [item.image is not None, bool(item.id), item.vector is not None or bool(item.pdq_hash)]
    if sum(given) != 1:
        raise InvalidField("items", "give one of: image, id, or a vector and PDQ hash")
    if item.image is not None:
        request.image = image_bytes(item.image)
    elif item.id:
        check_id(item.id)
        request.id = item.id
    else:
        if item.vector is not None:
            request.signals.vector_f32_le = vector_bytes(item.vector)
        if item.pdq_hash:
            request.signals.pdq_hash = hash_bytes(item.pdq_hash)
        if item.pdq_quality is not None:
            request.signals.pdq_quality = not_negative(item.pdq_quality, "pdq_quality")
    return request


def import_hashes(collection: str, hashes: Sequence[KnownHash]) -> Iterator[pb.ImportHashesRequest]:
    """Yield requests of as many hashes as one may hold.

    Raises:
        InvalidField: one cannot be sent.
    """
    for start in range(0, len(hashes), _MOST_HASHES):
        some = hashes[start : start + _MOST_HASHES]
        yield pb.ImportHashesRequest(collection=collection, hashes=[_known(each) for each in some])


def delete_hashes(
    collection: str, hashes: Sequence[str] | None
) -> Iterator[pb.DeleteHashesRequest]:
    """Yield requests to take hashes off a list, all with None.

    Raises:
        InvalidField: one is none.
    """
    if hashes is None:
        yield pb.DeleteHashesRequest(collection=collection, all=True)
        return
    for start in range(0, len(hashes), _MOST_HASHES):
        some = [hash_bytes(each) for each in hashes[start : start + _MOST_HASHES]]
        yield pb.DeleteHashesRequest(collection=collection, pdq_hashes=some)


def hash_bytes(pdq_hash: str) -> bytes:
    """Return a PDQ hash as 32 bytes.

    Raises:
        InvalidField: it is not 64 hexadecimal digits.
    """
    try:
        if len(pdq_hash) == _DIGITS:
            return bytes.fromhex(pdq_hash)
    except (TypeError, ValueError):
        pass  # said below
    raise InvalidField("pdq_hash", f"must be {_DIGITS} hexadecimal digits, got {pdq_hash!r:.80}")


def _known(known: KnownHash) -> pb.KnownHash:
    message = pb.KnownHash(pdq_hash=hash_bytes(known.pdq_hash), name=known.name, label=known.label)
    if known.quality is not None:
        message.pdq_quality = not_negative(known.quality, "quality")
    return message
