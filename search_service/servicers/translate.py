"""Items, hits, plans and outcomes of mutations, to and from the contract."""

from __future__ import annotations

from collections.abc import Sequence

from google.protobuf import duration_pb2, timestamp_pb2
from google.protobuf.internal.containers import RepeatedCompositeFieldContainer

from lookalike.v1 import filter_pb2, image_pb2, search_pb2
from lookalike.wire import vectors
from lookalike.wire.errors import InvalidField, LimitExceeded, LookalikeError
from lookalike.wire.status import to_item_error
from search_service.domain.conditions import FieldPath, Instant, Scalar
from search_service.domain.items import Fields, StoredItem
from search_service.domain.metadata import decode_metadata
from search_service.domain.mutations import MutationOutcome
from search_service.domain.queries import Hit, QueryOutcome, QueryPlan
from search_service.filters.paths import parse_path
from search_service.limits import (
    MAX_FACTS_BYTES,
    MAX_METADATA_FIELDS,
    MAX_THUMBNAIL_BYTES,
    check_count,
)
from search_service.servicers.structs import write_metadata


def read_fields(message: search_pb2.ItemFields) -> Fields:
    """Return which parts of an item are asked for.

    Raises:
        InvalidField: a metadata field has no path's form.
        LimitExceeded: too many metadata fields.
    """
    return Fields(
        metadata=message.metadata,
        facts=message.facts,
        thumbnail=message.thumbnail,
        vector=message.vector,
        metadata_paths=_read_paths(message.metadata_fields),
    )


def split_facts(facts: image_pb2.ImageFacts, field: str) -> tuple[bytes, bytes]:
    """Return serialised facts without the thumbnail, and the thumbnail.

    Raises:
        LimitExceeded: the thumbnail or the rest is too large.
    """
    thumbnail = facts.thumbnail_webp
    if not thumbnail:
        return _checked(facts, field), b""
    if len(thumbnail) > MAX_THUMBNAIL_BYTES:
        raise LimitExceeded(
            f"{field}.thumbnail_webp", f"is larger than {MAX_THUMBNAIL_BYTES:,} bytes"
        )
    rest = image_pb2.ImageFacts()
    rest.CopyFrom(facts)
    rest.ClearField("thumbnail_webp")
    return _checked(rest, field), thumbnail


def _checked(facts: image_pb2.ImageFacts, field: str) -> bytes:
    if facts.ByteSize() > MAX_FACTS_BYTES:
        raise LimitExceeded(field, f"is larger than {MAX_FACTS_BYTES:,} bytes, thumbnail aside")
    return facts.SerializeToString()


def fill_item(stored: StoredItem, item: search_pb2.Item, *, with_id: bool, as_json: bool) -> None:
    """Fill an empty `item` with what was read of it; metadata as text with `as_json`."""
    if with_id:
        item.id = stored.id
    item.version = stored.version
    seconds, micros = divmod(stored.update_time_us, 1_000_000)
    item.update_time.seconds, item.update_time.nanos = seconds, micros * 1_000
    if stored.near_duplicate_of:
        item.near_duplicate_of = stored.near_duplicate_of
    if stored.metadata_json is not None:
        if as_json:
            item.metadata_json = stored.metadata_json
        else:
            item.metadata.SetInParent()
            write_metadata(decode_metadata(stored.metadata_json), item.metadata)
    if stored.facts:
        item.facts.MergeFromString(stored.facts)
    if stored.thumbnail:
        item.facts.thumbnail_webp = stored.thumbnail
    if stored.vector is not None:
        item.vector_f32_le = vectors.encode(stored.vector)
        for vector in stored.further:
            item.vectors.add(vector_f32_le=vectors.encode(vector))
        for name, named in stored.named.items():
            for vector in named:
                item.vectors.add(vector_f32_le=vectors.encode(vector), name=name)


def fill_result(
    outcome: QueryOutcome,
    result: search_pb2.QueryResult,
    *,
    explain: bool,
    embed_s: float,
    as_json: bool,
) -> None:
    """Fill an empty `result` with the hits of a query; metadata as text with `as_json`."""
    _fill_hits(outcome.hits, result.hits, as_json)
    for group in outcome.groups:
        into = result.groups.add(value=value_message(group.value))
        _fill_hits(group.hits, into.hits, as_json)
    plan = outcome.plan.told
    result.plan_kind = search_pb2.PlanKind.ValueType(plan.kind.value)
    if explain:
        fill_plan(plan, result.plan, embed_s)


def value_message(value: Scalar) -> filter_pb2.FilterValue:
    """Return a value of a metadata field."""
    if isinstance(value, bool):
        return filter_pb2.FilterValue(bool_value=value)
    if isinstance(value, str):
        return filter_pb2.FilterValue(string_value=value)
    assert not isinstance(value, Instant), "points in time are listed as their strings"
    return filter_pb2.FilterValue(number_value=value)


def read_path(text: str, field: str) -> FieldPath:
    """Return the path of a metadata field.

    Raises:
        InvalidField: it has not the form of one.
    """
    try:
        return parse_path(text)
    except ValueError as error:
        raise InvalidField(field, str(error)) from error


def fill_plan(plan: QueryPlan, message: search_pb2.QueryPlan, embed_s: float) -> None:
    """Fill an empty `message` with what was done for a query."""
    message.kind = search_pb2.PlanKind.ValueType(plan.kind.value)
    message.items = plan.items
    message.filter_matches = plan.filter_matches
    message.candidates = plan.candidates
    message.expansion_search = plan.expansion_search
    message.gathered_queries = plan.gathered_queries
    message.ranked_candidates = plan.ranked_candidates
    message.ranking_complete = plan.ranking_complete
    message.embed_time.CopyFrom(duration_of(embed_s))
    message.filter_time.CopyFrom(duration_of(plan.filter_s))
    message.wait_time.CopyFrom(duration_of(plan.wait_s))
    message.search_time.CopyFrom(duration_of(plan.search_s))
    message.rerank_time.CopyFrom(duration_of(plan.rerank_s))


def _read_paths(texts: Sequence[str]) -> Sequence[FieldPath]:
    check_count("fields.metadata_fields", len(texts), MAX_METADATA_FIELDS, least=0)
    return tuple(
        read_path(text, f"fields.metadata_fields[{index}]") for index, text in enumerate(texts)
    )


def _fill_hits(
    hits: Sequence[Hit], into: RepeatedCompositeFieldContainer[search_pb2.Hit], as_json: bool
) -> None:
    for hit in hits:
        message = into.add(id=hit.id, score=hit.score, matched_vector=hit.matched)
        if hit.item is not None:
            fill_item(hit.item, message.item, with_id=False, as_json=as_json)


def outcome_message(outcome: MutationOutcome) -> search_pb2.MutationResult:
    """Return what became of a mutation."""
    if outcome.error is not None:
        return error_message(outcome.id, outcome.error, outcome.version)
    result = search_pb2.MutationResult(id=outcome.id, version=outcome.version)
    if outcome.status is not None:
        result.status = search_pb2.MutationStatus.ValueType(int(outcome.status))
    if outcome.near_duplicate is not None:
        result.near_duplicate.id = outcome.near_duplicate.id
        result.near_duplicate.score = outcome.near_duplicate.score
    return result


def error_message(
    item_id: str, error: LookalikeError, version: int = 0
) -> search_pb2.MutationResult:
    """Return a mutation's failure."""
    return search_pb2.MutationResult(id=item_id, version=version, error=to_item_error(error))


def timestamp_of(epoch_us: int) -> timestamp_pb2.Timestamp:
    """Return a point in time from microseconds since the epoch."""
    seconds, micros = divmod(epoch_us, 1_000_000)
    return timestamp_pb2.Timestamp(seconds=seconds, nanos=micros * 1_000)


def duration_of(seconds: float) -> duration_pb2.Duration:
    """Return a duration from seconds, zero at least."""
    nanos = max(0, round(seconds * 1e9))
    return duration_pb2.Duration(seconds=nanos // 10**9, nanos=nanos % 10**9)
