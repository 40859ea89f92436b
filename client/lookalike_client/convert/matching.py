"""Banks, their hashes, and what came of matching."""

from __future__ import annotations

from lookalike.v1 import bank_pb2 as pb
from lookalike_client import types
from lookalike_client.convert.values import moment


def match_result(key: str, message: pb.MatchResult) -> types.MatchResult:
    """Return whether the image that the caller calls `key` is known."""
    agreement = None
    if message.agreement != pb.SIGNAL_AGREEMENT_UNSPECIFIED:
        name = pb.SignalAgreement.Name(message.agreement)
        agreement = types.SignalAgreement(name.removeprefix("SIGNAL_AGREEMENT_").lower())
    return types.MatchResult(
        key=key,
        verdict=_verdict(message.verdict),
        agreement=agreement,
        evidence=[_evidence(each) for each in message.evidence],
        threshold=message.threshold,
        threshold_calibrated=message.threshold_calibrated,
        pdq_hash=message.pdq_hash.hex(),
        pdq_quality=message.pdq_quality if message.HasField("pdq_quality") else None,
        remarks=[
            types.MatchRemark(pb.MatchRemark.Name(each).removeprefix("MATCH_REMARK_").lower())
            for each in message.remarks
        ],
    )


def known_hash(message: pb.KnownHash) -> types.KnownHash:
    """Return a hash of a bank."""
    return types.KnownHash(
        pdq_hash=message.pdq_hash.hex(),
        quality=message.pdq_quality if message.HasField("pdq_quality") else None,
        name=message.name,
        label=message.label,
        id=message.id,
        import_time=moment(message.import_time) if message.HasField("import_time") else None,
    )


def bank(message: pb.GetBankResponse) -> types.Bank:
    """Return what a bank can match."""
    return types.Bank(
        items=message.items,
        hashed_items=message.hashed_items,
        low_quality_items=message.low_quality_items,
        items_without_pdq=message.items_without_pdq,
        listed_hashes=message.listed_hashes,
        low_quality_hashes=message.low_quality_hashes,
        threshold=message.threshold if message.HasField("threshold") else None,
    )


def _evidence(message: pb.MatchEvidence) -> types.MatchEvidence:
    return types.MatchEvidence(
        id=message.id,
        listed=known_hash(message.listed) if message.HasField("listed") else None,
        score=message.score if message.HasField("score") else None,
        pdq_distance=message.pdq_distance if message.HasField("pdq_distance") else None,
        pdq_quality=message.pdq_quality if message.HasField("pdq_quality") else None,
        vector_matches=message.vector_matches,
        pdq_matches=message.pdq_matches,
        verdict=_verdict(message.verdict),
    )


def _verdict(verdict: pb.MatchVerdict.ValueType) -> types.MatchVerdict:
    name = pb.MatchVerdict.Name(verdict)
    return types.MatchVerdict(name.removeprefix("MATCH_VERDICT_").lower())
