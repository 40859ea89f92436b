"""Matching: options from requests, and answers and hashes to messages."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from lookalike.v1 import bank_pb2 as pb
from lookalike.wire.errors import InvalidField, LimitExceeded
from search_service import limits
from search_service.banks.facts import HASH_BYTES, MOST_DISTANCE, Seen
from search_service.banks.verdicts import (
    Agreement,
    Judged,
    Rule,
    Terms,
    Verdict,
    verdict_of,
)
from search_service.domain.collection import CollectionSpec
from search_service.servicers.calibration import kept_threshold
from search_service.servicers.translate import timestamp_of
from search_service.store.known_hashes import KnownHash

_MOST_BITS = 8 * HASH_BYTES - 1
_MOST_QUALITY = 100
# Of the items that a collection had when its threshold was calibrated (calibration.proto).
_GROWN = 10
_VERDICTS = {
    Verdict.MATCH: pb.MATCH_VERDICT_MATCH,
    Verdict.NO_MATCH: pb.MATCH_VERDICT_NO_MATCH,
    Verdict.UNCERTAIN: pb.MATCH_VERDICT_UNCERTAIN,
}
_AGREEMENTS = {
    Agreement.NOTHING: pb.SIGNAL_AGREEMENT_UNSPECIFIED,
    Agreement.AGREE: pb.SIGNAL_AGREEMENT_AGREE,
    Agreement.DISAGREE: pb.SIGNAL_AGREEMENT_DISAGREE,
    Agreement.VECTOR_ONLY: pb.SIGNAL_AGREEMENT_VECTOR_ONLY,
    Agreement.PDQ_ONLY: pb.SIGNAL_AGREEMENT_PDQ_ONLY,
}


@dataclass(frozen=True, slots=True)
class Asked:
    """How an image is matched; `vectors` says whether its vector is compared."""

    terms: Terms
    limit: int
    exact: bool
    vectors: bool
    calibrated: bool


def asked_of(request: pb.MatchImagesRequest, spec: CollectionSpec) -> Asked:
    """Read the options of a request.

    Raises:
        InvalidField: naming the field; also where a threshold is needed and there is none.
        Precondition: the collection's threshold is of another model.
    """
    options = request.options
    rule = _rule(options)
    vectors = rule is not Rule.PDQ
    if request.WhichOneof("target") == "signals" and not request.signals.vector_f32_le:
        if rule is Rule.VECTOR or not request.signals.pdq_hash:
            raise InvalidField("signals.vector_f32_le", "is needed: no vector is given")
        vectors = False
    calibrated = vectors and not options.HasField("threshold")
    threshold = review = 0.0
    if vectors:
        threshold, review = _thresholds(options, spec)
    near, far = _distances(options)
    limit = options.limit or limits.DEFAULT_EVIDENCE
    return Asked(
        Terms(threshold, review, near, far, rule),
        limits.check_range("options.limit", limit, 1, limits.MAX_EVIDENCE),
        options.exact,
        vectors,
        calibrated,
    )


def given_hash(signals: pb.ImageSignals) -> Seen:
    """Read the hash of an image that a caller made.

    Raises:
        InvalidField: it is none.
    """
    if not signals.pdq_hash:
        return Seen()
    _check_hash(signals.pdq_hash, "signals.pdq_hash")
    quality = signals.pdq_quality if signals.HasField("pdq_quality") else None
    _check_quality(quality, "signals.pdq_quality")
    return Seen(signals.pdq_hash, quality)


def remarks_of(
    seen: Seen, asked: Asked, spec: CollectionSpec, *, items: int, items_without_hash: bool
) -> list[pb.MatchRemark.ValueType]:
    """Return what is to be known of a verdict."""
    hashes = asked.terms.rule is not Rule.VECTOR
    kept = spec.calibration
    grown = kept is not None and asked.calibrated and items >= _GROWN * max(1, kept.gallery_items)
    found = {
        pb.MATCH_REMARK_BLANK: seen.blank and asked.vectors,
        pb.MATCH_REMARK_LOW_PDQ_QUALITY: hashes and bool(seen.hash) and not seen.matched,
        pb.MATCH_REMARK_NO_PDQ_HASH: hashes and not seen.hash,
        pb.MATCH_REMARK_ITEMS_WITHOUT_PDQ: hashes and seen.matched and items_without_hash,
        pb.MATCH_REMARK_BANK_HAS_GROWN: grown,
    }
    return [remark for remark, holds in found.items() if holds]


def result_message(
    judged: Sequence[Judged], asked: Asked, seen: Seen, remarks: Sequence[pb.MatchRemark.ValueType]
) -> pb.MatchResult:
    """Return an answer as the contract has it."""
    verdict = verdict_of(judged)
    if asked.terms.rule is Rule.PDQ and not seen.matched:
        verdict = Verdict.UNCERTAIN  # nothing was compared
    message = pb.MatchResult(
        verdict=_VERDICTS[verdict],
        agreement=_AGREEMENTS[judged[0].agreement if judged else Agreement.NOTHING],
        evidence=[_evidence(each) for each in judged],
        threshold=asked.terms.threshold,
        threshold_calibrated=asked.calibrated,
        pdq_hash=seen.hash,
        remarks=remarks,
    )
    if seen.quality is not None:
        message.pdq_quality = seen.quality
    return message


def known_hashes(messages: Sequence[pb.KnownHash]) -> list[KnownHash]:
    """Read hashes for a list.

    Raises:
        InvalidField: naming the field.
    """
    limits.check_count("hashes", len(messages), limits.MAX_HASHES_PER_MESSAGE)
    now_us = time.time_ns() // 1_000
    read = []
    for place, message in enumerate(messages):
        field = f"hashes[{place}]"
        _check_hash(message.pdq_hash, f"{field}.pdq_hash")
        quality = message.pdq_quality if message.HasField("pdq_quality") else None
        _check_quality(quality, f"{field}.pdq_quality")
        for name in ("name", "label"):
            if len(getattr(message, name).encode()) > limits.MAX_HASH_TEXT_BYTES:
                raise LimitExceeded(
                    f"{field}.{name}", f"holds at most {limits.MAX_HASH_TEXT_BYTES} bytes of UTF-8"
                )
        read.append(KnownHash(message.pdq_hash, quality, message.name, message.label, now_us))
    return read


def hashes_to_remove(request: pb.DeleteHashesRequest) -> list[bytes] | None:
    """Read which hashes are taken off a list; None for all.

    Raises:
        InvalidField: naming the field.
    """
    if request.all:
        if request.pdq_hashes:
            raise InvalidField("pdq_hashes", "leave them out: all are deleted")
        return None
    limits.check_count("pdq_hashes", len(request.pdq_hashes), limits.MAX_HASHES_PER_MESSAGE)
    for place, hash in enumerate(request.pdq_hashes):
        _check_hash(hash, f"pdq_hashes[{place}]")
    return list(request.pdq_hashes)


def known_message(known: KnownHash) -> pb.KnownHash:
    """Return a hash on a list as the contract has it."""
    message = pb.KnownHash(
        pdq_hash=known.hash,
        name=known.name,
        label=known.label,
        import_time=timestamp_of(known.time_us),
    )
    if known.quality is not None:
        message.pdq_quality = known.quality
    return message


def _evidence(judged: Judged) -> pb.MatchEvidence:
    near = judged.near
    message = pb.MatchEvidence(
        id=near.id,
        vector_matches=judged.vector_matches,
        pdq_matches=judged.pdq_matches,
        verdict=_VERDICTS[judged.verdict],
    )
    if near.listed is not None:
        message.listed.CopyFrom(known_message(near.listed))
    if near.score is not None:
        message.score = near.score
    if near.distance is not None:
        message.pdq_distance = near.distance
    if near.quality is not None:
        message.pdq_quality = near.quality
    return message


def _rule(options: pb.MatchOptions) -> Rule:
    if options.rule == pb.MATCH_RULE_UNSPECIFIED:
        return Rule.ANY
    try:
        return Rule(options.rule)
    except ValueError as error:
        raise InvalidField("options.rule", "is none of the rules") from error


def _thresholds(options: pb.MatchOptions, spec: CollectionSpec) -> tuple[float, float]:
    field = "options.threshold"
    if options.HasField("threshold"):
        threshold = options.threshold
        if not 0.0 < threshold <= 1.0:
            raise InvalidField(field, "must be above 0 and at most 1")
    else:
        threshold = kept_threshold(spec, field)
    if not options.HasField("review_threshold"):
        return threshold, threshold
    review = options.review_threshold
    if not -1.0 <= review <= threshold:
        raise InvalidField(
            "options.review_threshold", f"must be at most the threshold, {threshold:.3f}"
        )
    return threshold, review


def _distances(options: pb.MatchOptions) -> tuple[int, int]:
    near = options.pdq_distance if options.HasField("pdq_distance") else MOST_DISTANCE
    limits.check_range("options.pdq_distance", near, 0, _MOST_BITS)
    far = options.pdq_review_distance if options.HasField("pdq_review_distance") else near
    return near, limits.check_range("options.pdq_review_distance", far, near, _MOST_BITS)


def _check_hash(hash: bytes, field: str) -> None:
    if len(hash) != HASH_BYTES:
        raise InvalidField(field, f"a PDQ hash has {HASH_BYTES} bytes, this one {len(hash)}")


def _check_quality(quality: int | None, field: str) -> None:
    if quality is not None:
        limits.check_range(field, quality, 0, _MOST_QUALITY)
