"""Check requests to the options of the analysis, and its answer to a report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from lookalike.v1 import check_pb2 as pb
from lookalike.v1 import filter_pb2 as filters
from lookalike.wire.errors import InvalidField
from search_service import limits
from search_service.domain.collection import CollectionSpec, ShardStats
from search_service.domain.conditions import (
    AllOf,
    AnyElement,
    AnyOf,
    FieldPath,
    Filter,
    NoneOf,
)
from search_service.servicers.filter_translation import filter_from_proto
from search_service.servicers.translate import read_path

_MOST_ASKED = 100
_MOST_QUERIES = 10_000
_DEFAULT_QUERIES = 500
_DEFAULT_TARGET = 0.95
_VERDICTS = {
    "ok": pb.CHECK_VERDICT_OK,
    "warn": pb.CHECK_VERDICT_WARN,
    "fail": pb.CHECK_VERDICT_FAIL,
}


def check_options(
    request: pb.CheckRequest, spec: CollectionSpec, stats: ShardStats
) -> dict[str, Any]:
    """Return the options of a check but its filters.

    Raises:
        InvalidField: naming the field.
    """
    limits.check_count("fields", len(request.fields), _MOST_ASKED, least=0)
    target = request.recall_target or _DEFAULT_TARGET
    if not 0.0 < target <= 1.0:
        raise InvalidField("recall_target", "must be above 0 and at most 1")
    label = request.label_field
    return {
        "fields": [
            list(read_path(each, f"fields[{place}]")) for place, each in enumerate(request.fields)
        ],
        "label_path": list(read_path(label, "label_field")) if label else [],
        "recall_target": target,
        "max_queries": limits.check_range(
            "max_queries", request.max_queries or _DEFAULT_QUERIES, 1, _MOST_QUERIES
        ),
        "seed": request.seed,
        "expansion": spec.index.expansion_search,
        "policy": spec.duplicates.policy,
        "threshold": spec.duplicates.threshold,
        "calibration": None if spec.calibration is None else asdict(spec.calibration),
        "fingerprint": spec.model_fingerprint,
        "store_damage": stats.store_damage,
        "build_error": stats.last_build_error,
    }


def asked_filters(request: pb.CheckRequest) -> list[tuple[str, Filter]]:
    """Return the filters of a request, each with what to call it.

    Raises:
        InvalidField: one is empty, or there are too many.
        FilterInvalid: one cannot be; names the field.
    """
    limits.check_count("filters", len(request.filters), _MOST_ASKED, least=0)
    asked = []
    for place, message in enumerate(request.filters):
        field = f"filters[{place}]"
        condition = filter_from_proto(message, field)
        if condition is None:
            raise InvalidField(field, "is empty: give a condition")
        asked.append((_text(message, field), condition))
    return asked


def filter_option(text: str, condition: Filter, matches: int) -> dict[str, Any]:
    """Return the option that tells the analysis of a filter and how many items meet it."""
    return {"text": text, "matches": matches, "paths": sorted(set(_paths(condition, ())))}


def check_report(content: Mapping[str, Any]) -> pb.CheckReport:
    """Return the report of what the analysis said."""
    return pb.CheckReport(
        items=content["items"],
        queries=content["queries"],
        findings=[
            pb.CheckFinding(**{**each, "verdict": _VERDICTS[each["verdict"]]})
            for each in content["findings"]
        ],
    )


def _text(message: filters.Filter, field: str) -> str:
    return message.expression or field


def _paths(condition: Filter, within: FieldPath) -> Iterator[FieldPath]:
    match condition:
        case AllOf(filters) | AnyOf(filters):
            for each in filters:
                yield from _paths(each, within)
        case NoneOf(inner):
            yield from _paths(inner, within)
        case AnyElement(field, inner):
            yield (*within, *field)
            yield from _paths(inner, (*within, *field))
        case _:
            yield (*within, *condition.field)
