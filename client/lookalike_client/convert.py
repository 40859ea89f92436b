"""Messages of the contract into the SDK's results."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from lookalike.v1 import collection_pb2, filter_pb2, image_pb2, ingest_pb2, search_pb2
from lookalike.wire import vectors
from lookalike.wire.status import from_item_error
from lookalike_client import structs, types
from lookalike_client.ingest_types import IngestStatus, WorkerStatus

if TYPE_CHECKING:
    from google.protobuf.duration_pb2 import Duration
    from google.protobuf.timestamp_pb2 import Timestamp


def search_result(message: search_pb2.QueryResult) -> types.SearchResult:
    """Return the neighbours of one query."""
    hits = [_hit(each) for each in message.hits]
    plan = _plan(message.plan) if message.HasField("plan") else None
    groups = [
        types.HitGroup(_value(each.value), [_hit(hit) for hit in each.hits])
        for each in message.groups
    ]
    return types.SearchResult(hits, _plan_kind(message.plan_kind), plan, groups)


def facets(message: search_pb2.CountFacetsResponse) -> types.Facets:
    """Return the values of a field."""
    return types.Facets(
        counts=[(_value(each.value), each.count) for each in message.facets],
        items=message.items,
        missing=message.missing,
        other=message.other,
        values=message.values,
    )


def item(message: search_pb2.Item) -> types.Item:
    """Return a stored item."""
    data = message.vector_f32_le
    return types.Item(
        id=message.id,
        version=message.version,
        update_time=_time(message, message.update_time, "update_time"),
        metadata=structs.to_dict(message.metadata),
        facts=_facts(message.facts) if message.HasField("facts") else None,
        vector=vectors.decode(data, field="vector_f32_le") if data else None,
        near_duplicate_of=message.near_duplicate_of,
    )


def item_page(message: search_pb2.GetItemsResponse) -> types.ItemPage:
    """Return items that were read by id."""
    return types.ItemPage([item(each) for each in message.items], list(message.missing_ids))


def mutation_result(message: search_pb2.MutationResult) -> types.MutationResult:
    """Return what became of a mutation."""
    near = message.near_duplicate
    return types.MutationResult(
        id=message.id,
        status=_STATUS.get(message.status, types.MutationStatus.FAILED),
        version=message.version,
        error=from_item_error(message.error) if message.HasField("error") else None,
        near_duplicate=types.NearDuplicate(near.id, near.score)
        if message.HasField("near_duplicate")
        else None,
    )


def ingest_event(message: ingest_pb2.WatchIngestResponse) -> types.IngestEvent:
    """Return the outcome of one mutation of a job."""
    return types.IngestEvent(
        cursor=message.cursor,
        result=mutation_result(message.result),
        collection_uid=message.collection_uid,
        remaining=message.remaining,
    )


def ingest_status(message: ingest_pb2.GetIngestStatusResponse) -> IngestStatus:
    """Return the state of ingestion."""
    return IngestStatus(
        queue_depth=message.queue_depth,
        lag=message.lag if message.HasField("lag") else None,
        pending=message.pending,
        oldest_age_s=seconds(message.oldest_age) if message.HasField("oldest_age") else None,
        failures=message.failures,
        queue_bytes=message.queue_bytes,
        max_queue_bytes=message.max_queue_bytes,
        workers=[_worker(each) for each in message.workers],
    )


def ingest_failure(message: ingest_pb2.IngestFailure) -> types.IngestFailure:
    """Return a mutation that was given up."""
    return types.IngestFailure(
        failure_id=message.failure_id,
        collection_uid=message.collection_uid,
        id=message.id,
        version=message.version,
        error=from_item_error(message.error),
        attempts=message.attempts,
        fail_time=_time(message, message.fail_time, "fail_time"),
        job_id=message.job_id,
    )


def retry_result(message: ingest_pb2.RetryFailuresResponse) -> types.RetryResult:
    """Return what was queued again."""
    return types.RetryResult(message.retried, list(message.missing_failure_ids))


def collection(message: collection_pb2.Collection) -> types.Collection:
    """Return a collection."""
    duplicates = message.settings.duplicates
    return types.Collection(
        name=message.name,
        uid=message.uid,
        dimension=message.dimension,
        model_fingerprint=message.model_fingerprint,
        index=_index_settings(message.settings.index),
        duplicates=types.DuplicateSettings(
            _POLICY.get(duplicates.policy, "off"),
            duplicates.threshold,
        ),
        create_time=_time(message, message.create_time, "create_time"),
        stats=_stats(message.stats),
        aliases=list(message.aliases),
    )


def recall(message: collection_pb2.RecallMeasurement) -> types.RecallMeasurement:
    """Return one recall measurement."""
    return types.RecallMeasurement(
        expansion_search=message.expansion_search,
        recall=message.recall,
        least_recall=message.least_recall,
        self_misses=message.self_misses,
        queries=message.queries,
        limit=message.limit,
        median_s=seconds(message.median_latency),
        median_exact_s=seconds(message.median_exact_latency),
    )


def seconds(duration: Duration) -> float:
    """Return a duration in seconds."""
    return float(duration.ToNanoseconds() / 1e9)


def _hit(message: search_pb2.Hit) -> types.Hit:
    if not message.HasField("item"):
        return types.Hit(message.id, message.score)
    # The contract leaves the id out of a hit's item: it stands beside the score.
    found = dataclasses.replace(item(message.item), id=message.id)
    return types.Hit(message.id, message.score, found.metadata, found)


def _value(message: filter_pb2.FilterValue) -> types.FieldValue:
    match message.WhichOneof("kind"):
        case "string_value":
            return message.string_value
        case "bool_value":
            return message.bool_value
        case _:
            return message.number_value


def _plan(message: search_pb2.QueryPlan) -> types.QueryPlan:
    return types.QueryPlan(
        kind=_plan_kind(message.kind),
        items=message.items,
        filter_matches=message.filter_matches,
        candidates=message.candidates,
        expansion_search=message.expansion_search,
        gathered_queries=message.gathered_queries,
        embed_s=seconds(message.embed_time),
        filter_s=seconds(message.filter_time),
        wait_s=seconds(message.wait_time),
        search_s=seconds(message.search_time),
    )


def _plan_kind(number: search_pb2.PlanKind.ValueType) -> types.PlanKind:
    return _PLAN.get(number, types.PlanKind.UNSPECIFIED)


def _facts(message: image_pb2.ImageFacts) -> types.ImageFacts:
    return types.ImageFacts(
        width_px=message.width_px,
        height_px=message.height_px,
        size_bytes=message.size_bytes,
        sha256=message.sha256.hex(),
        perceptual_hash=f"{message.perceptual_hash:016x}",
        sharpness=message.sharpness,
        format=message.format,
        thumbnail_webp=message.thumbnail_webp,
    )


def _worker(message: ingest_pb2.WorkerStatus) -> WorkerStatus:
    stages: Mapping[str, float] = {each.stage: seconds(each.mean) for each in message.stage_times}
    return WorkerStatus(
        name=message.name,
        heartbeat_age_s=seconds(message.heartbeat_age),
        paused_reason=message.paused_reason,
        finished=message.finished,
        failed=message.failed,
        rate_per_second=message.rate_per_second,
        stage_s=stages,
    )


def _index_settings(message: collection_pb2.IndexSettings) -> types.IndexSettings:
    def optional(name: str) -> int | None:
        return int(getattr(message, name)) if message.HasField(name) else None  # type: ignore[arg-type]  # names of optional fields

    return types.IndexSettings(
        preset=_PRESET.get(message.preset, "balanced"),
        scalar_type=_SCALAR.get(message.scalar_type),
        connectivity=optional("connectivity"),
        expansion_add=optional("expansion_add"),
        expansion_search=optional("expansion_search"),
        graph_dimension=optional("graph_dimension"),
    )


def _stats(message: collection_pb2.CollectionStats) -> types.CollectionStats:
    return types.CollectionStats(
        items=message.items,
        head_vectors=message.head_vectors,
        unindexed_vectors=message.unindexed_vectors,
        graph_vectors=message.graph_vectors,
        side_list_vectors=message.side_list_vectors,
        segments=message.segments,
        disk_bytes=message.disk_bytes,
        builds=message.builds,
        last_build_error=message.last_build_error,
        building=message.building,
    )


def _time(
    owner: search_pb2.Item | collection_pb2.Collection | ingest_pb2.IngestFailure,
    stamp: Timestamp,
    name: str,
) -> datetime | None:
    if not owner.HasField(name):  # type: ignore[arg-type]  # each owner has the field of that name
        return None
    return stamp.ToDatetime(tzinfo=UTC)


_STATUS: dict[int, types.MutationStatus] = {
    search_pb2.MUTATION_STATUS_APPLIED: types.MutationStatus.APPLIED,
    search_pb2.MUTATION_STATUS_SUPERSEDED: types.MutationStatus.SUPERSEDED,
    search_pb2.MUTATION_STATUS_NOT_FOUND: types.MutationStatus.NOT_FOUND,
    search_pb2.MUTATION_STATUS_REJECTED_DUPLICATE: types.MutationStatus.REJECTED_DUPLICATE,
}
_PLAN: dict[int, types.PlanKind] = {
    search_pb2.PlanKind.Value(f"PLAN_KIND_{kind.name}"): kind for kind in types.PlanKind
}
_PRESET: dict[int, str] = {
    collection_pb2.INDEX_PRESET_FAST: "fast",
    collection_pb2.INDEX_PRESET_BALANCED: "balanced",
    collection_pb2.INDEX_PRESET_ACCURATE: "accurate",
}
_SCALAR: dict[int, str] = {
    collection_pb2.SCALAR_TYPE_F32: "f32",
    collection_pb2.SCALAR_TYPE_F16: "f16",
    collection_pb2.SCALAR_TYPE_BF16: "bf16",
    collection_pb2.SCALAR_TYPE_I8: "i8",
}
_POLICY: dict[int, str] = {
    collection_pb2.DUPLICATE_POLICY_ACCEPT: "accept",
    collection_pb2.DUPLICATE_POLICY_FLAG: "flag",
    collection_pb2.DUPLICATE_POLICY_REJECT: "reject",
}
