"""Duplicates: requests to options and decisions, and answers to messages."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from lookalike.v1 import duplicates_pb2 as pb
from lookalike.wire.errors import InvalidField
from search_service import limits
from search_service.domain.collection import CollectionSpec
from search_service.servicers.calibration import kept_threshold
from search_service.servicers.paging import make_token, read_token, scope_of
from search_service.servicers.translate import read_path, timestamp_of
from search_service.store.reviews import Decision, Reviews

_DEFAULT_BURST_S = 3.0
_MOST_BURST_S = 3_600.0
_DEFAULT_KINDS = (
    pb.DUPLICATE_KIND_BYTE_IDENTICAL,
    pb.DUPLICATE_KIND_PIXEL_IDENTICAL,
    pb.DUPLICATE_KIND_COPY,
    pb.DUPLICATE_KIND_UNVERIFIED,
)
_VERDICTS = {
    pb.DUPLICATE_VERDICT_DUPLICATE: "duplicate",
    pb.DUPLICATE_VERDICT_DIFFERENT: "different",
    pb.DUPLICATE_VERDICT_KEEP: "keep",
    pb.DUPLICATE_VERDICT_IGNORE: "ignore",
}
_OF_PAIRS = (pb.DUPLICATE_VERDICT_DUPLICATE, pb.DUPLICATE_VERDICT_DIFFERENT)
_OF_ITEMS = (pb.DUPLICATE_VERDICT_KEEP, pb.DUPLICATE_VERDICT_IGNORE)
_VERDICT_MESSAGES = {verdict: number for number, verdict in _VERDICTS.items()}
_LARGEST_VERSION = 2**63 - 1


def duplicates_options(
    request: pb.FindDuplicatesRequest, spec: CollectionSpec, decisions: Sequence[Decision]
) -> dict[str, Any]:
    """Return the options of a search for duplicates.

    Raises:
        InvalidField: naming the field.
        Precondition: the calibration of the collection is of another model.
    """
    seconds = request.burst_seconds or _DEFAULT_BURST_S
    if not 0.0 < seconds <= _MOST_BURST_S:
        raise InvalidField("burst_seconds", f"must be above 0 and at most {_MOST_BURST_S:,.0f}")
    if request.burst_seconds and not request.capture_time_field:
        raise InvalidField("capture_time_field", "name the field that holds the capture time")
    for place, kind in enumerate(request.kinds):
        if kind not in (*_DEFAULT_KINDS, pb.DUPLICATE_KIND_SIMILAR):
            raise InvalidField(f"kinds[{place}]", "is none of the kinds")
    path = None
    if request.capture_time_field:
        path = list(read_path(request.capture_time_field, "capture_time_field"))
    return {
        "threshold": _threshold(request, spec),
        "kinds": sorted(set(request.kinds)) or list(_DEFAULT_KINDS),
        "since_version": min(request.since_version, _LARGEST_VERSION),
        "time_path": path,
        "burst_s": seconds,
        "turned": request.turned,
        "decisions": [(each.id, each.other_id, each.verdict) for each in decisions],
    }


def duplicates_part(content: Mapping[str, Any]) -> pb.FindDuplicatesResponse:
    """Return a part of an answer as the contract has it."""
    if "groups" in content:
        groups = pb.DuplicateGroups(groups=[_group(each) for each in content["groups"]])
        return pb.FindDuplicatesResponse(groups=groups)
    if "stacks" in content:
        stacks = [
            pb.PictureStack(
                kind=pb.StackKind.Value(f"STACK_KIND_{each['kind'].upper()}"), ids=each["ids"]
            )
            for each in content["stacks"]
        ]
        return pb.FindDuplicatesResponse(stacks=pb.PictureStacks(stacks=stacks))
    return pb.FindDuplicatesResponse(summary=pb.DuplicatesSummary(**content["summary"]))


def decide(request: pb.DecideDuplicatesRequest, reviews: Reviews) -> None:
    """Note decisions.

    Raises:
        InvalidField: naming the field.
    """
    limits.check_count("decisions", len(request.decisions), limits.MAX_ITEMS_PER_MESSAGE)
    now_us = time.time_ns() // 1_000
    noted: list[Decision] = []
    cleared: list[tuple[str, str]] = []
    for place, message in enumerate(request.decisions):
        key = _key(message, f"decisions[{place}]")
        if message.verdict == pb.DUPLICATE_VERDICT_UNSPECIFIED:
            cleared.append(key)
        else:
            noted.append(Decision(*key, _VERDICTS[message.verdict], now_us))
    reviews.decide(noted, cleared)


def list_decisions(
    request: pb.ListDuplicateDecisionsRequest, uid: str, reviews: Reviews
) -> pb.ListDuplicateDecisionsResponse:
    """List decisions.

    Raises:
        InvalidField: no such page size.
        PageTokenInvalid: the token is not one of this listing.
    """
    size = limits.page_size(request.page_size)
    scope = scope_of("duplicate-decisions", uid)
    last = read_token(scope, request.page_token)
    after_id, _, after_other = last.partition("\0")
    page = reviews.page((after_id, after_other), size + 1)
    response = pb.ListDuplicateDecisionsResponse(
        decisions=[
            pb.DuplicateDecision(
                id=each.id,
                other_id=each.other_id,
                verdict=_VERDICT_MESSAGES[each.verdict],
                decide_time=timestamp_of(each.time_us),
            )
            for each in page[:size]
        ]
    )
    if len(page) > size:
        response.next_page_token = make_token(
            scope, f"{page[size - 1].id}\0{page[size - 1].other_id}"
        )
    return response


def _threshold(request: pb.FindDuplicatesRequest, spec: CollectionSpec) -> float:
    if request.HasField("threshold"):
        if not 0.0 < request.threshold <= 1.0:
            raise InvalidField("threshold", "must be above 0 and at most 1")
        return request.threshold
    return kept_threshold(spec, "threshold")


def _key(message: pb.DuplicateDecision, field: str) -> tuple[str, str]:
    """Return the ids of a decision, those of a pair in order."""
    limits.check_id(message.id, f"{field}.id")
    if message.other_id:
        limits.check_id(message.other_id, f"{field}.other_id")
        if message.other_id == message.id:
            raise InvalidField(f"{field}.other_id", "is the same item as `id`")
    known = (pb.DUPLICATE_VERDICT_UNSPECIFIED, *_OF_PAIRS, *_OF_ITEMS)
    if message.verdict not in known:
        raise InvalidField(f"{field}.verdict", "is none of the verdicts")
    if message.verdict in _OF_PAIRS and not message.other_id:
        raise InvalidField(f"{field}.other_id", "name the other item: this is about a pair")
    if message.verdict in _OF_ITEMS and message.other_id:
        raise InvalidField(f"{field}.other_id", "leave it out: this is about one item")
    if message.other_id and message.other_id < message.id:
        return message.other_id, message.id
    return message.id, message.other_id


def _group(content: Mapping[str, Any]) -> pb.DuplicateGroup:
    return pb.DuplicateGroup(
        representative_id=content["representative_id"],
        members=[pb.DuplicateMember(**member) for member in content["members"]],
        reasons=[
            pb.KeepReason.Value(f"KEEP_REASON_{reason.upper()}") for reason in content["reasons"]
        ],
        left_out=content["left_out"],
    )
