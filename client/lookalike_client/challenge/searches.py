"""The searches of a challenge: all queries in batches, and some one by one with a clock."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from lookalike.v1 import filter_pb2
from lookalike_client import Client
from lookalike_client.challenge.labels import LabelledImages
from lookalike_client.challenge.quality import DEPTH, Ranking
from lookalike_client.challenge.times import Stopwatch
from lookalike_client.inputs import Query
from lookalike_client.types import AnalysisProgress, Fields

# Metadata fields that the items get, whatever the table's columns are called.
LABEL_FIELD, SUBLABEL_FIELD = "label", "sublabel"

_PER_REQUEST = 64
# A scan of millions of items for each of the queries of a request takes a while.
_TIMEOUT_S = 120.0
_NOTHING = Fields(metadata=False)

Told = Callable[[AnalysisProgress], object]


@dataclass(frozen=True, slots=True)
class Answers:
    """What searches found for each query, and how many were answered in which way."""

    found: dict[str, Ranking] = field(default_factory=dict)
    plans: Counter[str] = field(default_factory=Counter)


def has_label(label: str) -> filter_pb2.Filter:
    """Return the filter that keeps items of a label, whatever characters it holds."""
    value = filter_pb2.FilterValue(string_value=label)
    return filter_pb2.Filter(equals=filter_pb2.FieldEquals(field=LABEL_FIELD, value=value))


def search_all(
    client: Client, collection: str, ids: Sequence[str], *, exact: bool, told: Told
) -> Answers:
    """Search for stored items among all others."""
    answers = Answers()
    stage = "comparing every item" if exact else "searching"
    for start in range(0, len(ids), _PER_REQUEST):
        _search(client, collection, ids[start : start + _PER_REQUEST], None, answers, exact=exact)
        told(AnalysisProgress(stage, min(start + _PER_REQUEST, len(ids)), len(ids)))
    return answers


def search_within_labels(
    client: Client,
    collection: str,
    ids: Sequence[str],
    labels: Mapping[str, str],
    *,
    exact: bool,
    told: Told,
) -> Answers:
    """Search for stored items among the others of their label."""
    by_label: dict[str, list[str]] = {}
    for id in ids:
        by_label.setdefault(labels[id], []).append(id)
    answers = Answers()
    done = 0
    stage = "comparing every item of a label" if exact else "searching within labels"
    for label, members in by_label.items():
        condition = has_label(label)
        for start in range(0, len(members), _PER_REQUEST):
            some = members[start : start + _PER_REQUEST]
            _search(client, collection, some, condition, answers, exact=exact)
            done += len(some)
            told(AnalysisProgress(stage, done, len(ids)))
    return answers


def _search(
    client: Client,
    collection: str,
    ids: Sequence[str],
    condition: filter_pb2.Filter | None,
    answers: Answers,
    *,
    exact: bool,
) -> None:
    results = client.search_many(
        collection,
        [Query.by_id(id) for id in ids],
        limit=DEPTH,
        filter=condition,
        exact=exact,
        fields=_NOTHING,
        timeout_s=_TIMEOUT_S,
    )
    for id, result in zip(ids, results, strict=True):
        answers.found[id] = [(hit.id, hit.score) for hit in result.hits]
        answers.plans[result.plan_kind.value] += 1


def time_searches(
    client: Client, collection: str, images: LabelledImages, *, most: int, seed: int, told: Told
) -> dict[str, Stopwatch]:
    """Time single searches: for stored items, the same with the filter, and by image with it."""
    files = {file.id: file.path for file in images.files}
    ids = sorted(files)
    some = random.Random(seed).sample(ids, min(most, len(ids)))  # noqa: S311 - a sample
    search = partial(
        client.search, collection, limit=DEPTH, fields=_NOTHING, explain=True, timeout_s=_TIMEOUT_S
    )
    filters = {id: has_label(images.labels[id]) for id in some}
    kinds = {
        "by id": [partial(search, Query.by_id(id)) for id in some],
        "by id, same category": [
            partial(search, Query.by_id(id), filter=filters[id]) for id in some
        ],
        "by image, same category": [
            partial(search, Query.by_image(files[id]), filter=filters[id], exclude_ids=[id])
            for id in some
        ],
    }
    watches: dict[str, Stopwatch] = {}
    for number, (name, calls) in enumerate(kinds.items()):
        told(AnalysisProgress(f"timing searches {name}", number, len(kinds)))
        watches[name] = Stopwatch()
        watches[name].time(calls)
    return watches
