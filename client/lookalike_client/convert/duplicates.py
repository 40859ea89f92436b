"""Duplicates."""

from __future__ import annotations

from collections.abc import Sequence

from lookalike.v1 import duplicates_pb2 as pb
from lookalike_client import types
from lookalike_client.convert.values import moment


def duplicates_report(parts: Sequence[pb.FindDuplicatesResponse]) -> types.DuplicatesReport:
    """Return the answer to a search for duplicates; the summary is its last part."""
    summary = parts[-1].summary
    return types.DuplicatesReport(
        groups=[_group(each) for part in parts for each in part.groups.groups],
        stacks=[_stack(each) for part in parts for each in part.stacks.stacks],
        items=summary.items,
        newest_version=summary.newest_version,
        threshold=summary.threshold,
        without_pictures=summary.without_pictures,
        cut=summary.cut,
    )


def duplicate_decision(message: pb.DuplicateDecision) -> types.DuplicateDecision:
    """Return a decision."""
    return types.DuplicateDecision(
        id=message.id,
        other_id=message.other_id,
        verdict=types.DuplicateVerdict(
            pb.DuplicateVerdict.Name(message.verdict).removeprefix("DUPLICATE_VERDICT_").lower()
        ),
        decide_time=moment(message.decide_time) if message.HasField("decide_time") else None,
    )


def _group(message: pb.DuplicateGroup) -> types.DuplicateGroup:
    return types.DuplicateGroup(
        representative_id=message.representative_id,
        members=[_member(each) for each in message.members],
        reasons=[
            types.KeepReason(pb.KeepReason.Name(each).removeprefix("KEEP_REASON_").lower())
            for each in message.reasons
        ],
        left_out=message.left_out,
    )


def _member(message: pb.DuplicateMember) -> types.DuplicateMember:
    kind = None
    if message.kind:
        name = pb.DuplicateKind.Name(message.kind).removeprefix("DUPLICATE_KIND_")
        kind = types.DuplicateKind(name.lower())
    return types.DuplicateMember(
        id=message.id,
        kind=kind,
        score=message.score,
        agreement=message.agreement,
        width_px=message.width_px,
        height_px=message.height_px,
        size_bytes=message.size_bytes,
        sharpness=message.sharpness,
        format=message.format,
        reviewed=message.reviewed,
        kept=message.kept,
        mirrored=message.mirrored,
        turned_degrees=message.turned_degrees,
    )


def _stack(message: pb.PictureStack) -> types.PictureStack:
    name = pb.StackKind.Name(message.kind).removeprefix("STACK_KIND_")
    return types.PictureStack(kind=types.StackKind(name.lower()), ids=list(message.ids))
