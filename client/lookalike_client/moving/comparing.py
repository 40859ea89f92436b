"""How the answers of two collections differ, on items that both have."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean

from lookalike.wire.errors import NotFound
from lookalike_client import Client
from lookalike_client.inputs import Query
from lookalike_client.types import Fields, Hit, Item, Metadata

# Queries of one call; each is a lookup by id and a search.
_QUERIES_A_CALL = 32
# As many as the service takes.
_MOST_MEASURED = 10_000
_NO_FIELDS = Fields(metadata=False)
# The tenth of the queries whose answers differ most is told beside the mean.
_WORST_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class Comparison:
    """Means over `queries` items as queries, of which both collections gave `limit` hits.

    `overlap` is the share of the source's hits that the target has, too. The precisions
    are shares of hits with the query's own label; None without labels. Recall is that of
    each collection's own graph against its own exact scan, with the median time of a search.
    """

    queries: int
    limit: int
    overlap: float
    worst_overlap: float
    same_first: float
    source_recall: float
    target_recall: float
    source_median_s: float
    target_median_s: float
    source_precision: float | None
    target_precision: float | None
    labelled: int


def compare(
    client: Client, source: str, target: str, *, sample: int, limit: int, label: str, seed: int
) -> Comparison | None:
    """Search both for the same items; None where they have none in common.

    `label` names a field of the metadata; "" for none.

    Raises:
        LookalikeError: the service refuses the searches, or stays away.
    """
    ids = _sample(client.list(target, fields=_NO_FIELDS, page_size=1000), sample, seed)
    ids = [each.id for each in client.get(source, ids, fields=_NO_FIELDS).items] if ids else []
    overlaps: list[float] = []
    firsts: list[bool] = []
    ours: list[float] = []
    theirs: list[float] = []
    for start in range(0, len(ids), _QUERIES_A_CALL):
        some = ids[start : start + _QUERIES_A_CALL]
        labels = _labels(client, source, some, label)
        ours_by_id, theirs_by_id = (_search(client, each, some, limit) for each in (source, target))
        for id in some:
            if id not in ours_by_id or id not in theirs_by_id:
                continue  # deleted meanwhile
            left, right = ours_by_id[id], theirs_by_id[id]
            overlaps.append(_overlap(left, right))
            firsts.append([hit.id for hit in left[:1]] == [hit.id for hit in right[:1]])
            wanted = labels.get(id)
            if wanted is not None and left and right:
                ours.append(fmean(value_of(hit.metadata, label) == wanted for hit in left))
                theirs.append(fmean(value_of(hit.metadata, label) == wanted for hit in right))
    if not overlaps:
        return None
    left_graph, right_graph = (
        client.collections.measure_recall(
            each, sample_size=min(sample, _MOST_MEASURED), limit=limit, seed=seed
        )[0]
        for each in (source, target)
    )
    worst = sorted(overlaps)[: max(1, int(len(overlaps) * _WORST_SHARE))]
    return Comparison(
        queries=len(overlaps),
        limit=limit,
        overlap=fmean(overlaps),
        worst_overlap=fmean(worst),
        same_first=fmean(firsts),
        source_recall=left_graph.recall,
        target_recall=right_graph.recall,
        source_median_s=left_graph.median_s,
        target_median_s=right_graph.median_s,
        source_precision=fmean(ours) if ours else None,
        target_precision=fmean(theirs) if theirs else None,
        labelled=len(ours),
    )


def value_of(metadata: Metadata, path: str) -> object:
    """Return what stands under a path of the metadata, parts by dots; None for nothing."""
    value: object = metadata
    for part in path.split("."):
        if not isinstance(value, dict):
            return None
        value = value.get(part)
    return value


def _sample(items: Iterator[Item], count: int, seed: int) -> list[str]:
    """Return `count` ids, each as likely as any other, whatever the number of items."""
    chance = random.Random(seed)  # noqa: S311 - a sample, not a secret
    kept: list[str] = []
    for number, item in enumerate(items):
        if number < count:
            kept.append(item.id)
        elif (place := chance.randrange(number + 1)) < count:
            kept[place] = item.id
    return kept


def _labels(client: Client, collection: str, ids: Sequence[str], label: str) -> dict[str, object]:
    if not label:
        return {}
    found = client.get(collection, ids).items
    values = {item.id: value_of(item.metadata, label) for item in found}
    return {id: value for id, value in values.items() if value is not None}


def _search(
    client: Client, collection: str, ids: Sequence[str], limit: int
) -> dict[str, Sequence[Hit]]:
    """Return the hits by id; without items that are gone by now."""
    try:
        results = client.search_many(collection, [Query.by_id(id) for id in ids], limit=limit)
        return {id: result.hits for id, result in zip(ids, results, strict=True)}
    except NotFound:
        if len(ids) == 1:
            return {}
    found: dict[str, Sequence[Hit]] = {}
    for id in ids:
        found.update(_search(client, collection, [id], limit))
    return found


def _overlap(left: Sequence[Hit], right: Sequence[Hit]) -> float:
    if not left:
        return 1.0 if not right else 0.0
    return len({hit.id for hit in left} & {hit.id for hit in right}) / len(left)
