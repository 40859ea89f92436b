"""What a caller does with a service, told as data: the same for the fake and the real one."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from lookalike_client import (
    Client,
    DeleteItem,
    DuplicateSettings,
    Example,
    Fields,
    Hit,
    ImageItem,
    Item,
    LookalikeError,
    MetadataItem,
    MutationResult,
    Query,
    QueuedMutation,
    SearchResult,
    VectorItem,
)
from tests.integration.filter_scenarios import FILTERS, WRONG_FILTERS
from tests.integration.ranking_scenarios import rankings

VECTORS = {
    "g1": [1.0, 0.0, 0.0],
    "g2": [0.0, 1.0, 0.0],
    "g3": [0.5, 0.5, 0.0],
    "g4": [0.0, 0.0, 1.0],
    "g5": [0.2, 0.1, 0.0],
}
METADATA: dict[str, dict[str, Any]] = {
    "g1": {
        "kind": "shoe",
        "price": 10,
        "tags": ["a", "b"],
        "taken": "2024-03-01T12:00:00Z",
        "parts": [{"key": "Color", "value": "Red"}, {"key": "Größe", "value": 38}],
    },
    "g2": {"kind": "shirt", "price": 49.5, "sale": True, "camera": {"iso": 200, "model": "x"}},
    "g3": {
        "kind": "shoe",
        "price": 50,
        "tags": [],
        "camera": {"iso": 400},
        "parts": [{"key": "Color"}],
        "shot": "2024:01:15",
    },
    "g4": {
        "kind": 'a "b"',
        "price": "50",
        "sale": False,
        "tags": ["b", 3],
        "shot": "2024-01-15 10:00:00",
    },
    "g5": {},
}
EVERYTHING = Fields(metadata=True, facts=True, vector=True)


def vectors_scenario(client: Client) -> Iterator[tuple[str, Any]]:
    """Collections of the caller's own vectors: all that can be asked of them."""
    yield "ready", client.ready()
    made = client.collections.create("shelf", model=None, dimension=3)
    yield "made", (made.name, made.dimension, made.model_fingerprint, made.index.preset)
    yield "duplicates off", made.duplicates
    yield "exists", _error(lambda: client.collections.create("shelf", model=None, dimension=3))
    yield "no dimension", _error(lambda: client.collections.create("none", model=None))
    yield "wrong name", _error(lambda: client.collections.create("-", model=None, dimension=3))
    items = [VectorItem(key, vector, METADATA[key]) for key, vector in VECTORS.items()]
    yield "stored", _results(client.upsert_vectors("shelf", items, batch_items=2))
    wrong = [VectorItem("w", [1.0]), VectorItem("z", [0, 0, 0]), VectorItem("\n", [1, 0, 0])]
    yield "not stored", _results(client.upsert_vectors("shelf", wrong))
    yield "nowhere", _results(client.upsert_vectors("nowhere", items[:1]))
    yield from _searches(client)
    yield from _lists(client)
    yield from _changes(client)
    yield from _collections(client)


def _searches(client: Client) -> Iterator[tuple[str, Any]]:
    near = Query.by_vector([0.6, 0.8, 0.0])
    yield "search", _found(client.search("shelf", near))
    yield "fields", _found(client.search("shelf", near, fields=EVERYTHING))
    part = Fields(metadata_fields=["camera.iso", "kind", "none"])
    yield "some fields", _found(client.search("shelf", near, fields=part))
    yield "none", _found(client.search("shelf", near, fields=Fields(metadata=False)))
    many = [Query.by_id("g1"), near, Query.by_examples([Example.by_id("g5")])]
    yield "many", [_found(each) for each in client.search_many("shelf", many, limit=2)]
    pushed = Query.by_examples(
        [Example.by_id("g5"), Example.by_vector([1, 0, 0])], [Example.by_vector([0, 1, 0])]
    )
    yield "pushed", _found(client.search("shelf", pushed))
    yield "options", _found(client.search("shelf", near, min_score=0.5, exclude_ids=["g3"]))
    for text in FILTERS:
        yield f"where {text}", _found(client.search("shelf", near, filter=text))
    yield from rankings(client, near, _hit, _error)
    yield "groups", _found(client.search("shelf", near, group_by="kind", hits_per_group=2))
    cancelled = Query.by_examples([Example.by_id("g1")], [Example.by_vector([2, 0, 0])])
    for name, query in {
        "id": Query.by_id("none"),
        "dimension": Query.by_vector([1.0]),
        "zero": Query.by_vector([0, 0, 0]),
        "image": Query.by_image(b"picture"),
        "direction": Query.by_examples(
            [Example.by_vector([1, 0, 0]), Example.by_vector([-1, 0, 0])]
        ),
    }.items():
        yield f"wrong {name}", _error(partial(client.search, "shelf", query))
    yield "twice away", _found(client.search("shelf", cancelled))
    yield "wrong limit", _error(lambda: client.search("shelf", near, limit=10_001))
    yield "no query", _error(lambda: client.search_many("shelf", []))
    for text in WRONG_FILTERS:
        yield f"wrong {text}", _error(partial(client.count, "shelf", filter=text))


def _lists(client: Client) -> Iterator[tuple[str, Any]]:
    yield "listed", [_item(each) for each in client.list("shelf", page_size=2)]
    for field in ("price", "sale", "camera.iso", "tags"):
        for descending in (False, True):
            found = client.list("shelf", order_by=field, descending=descending, page_size=2)
            yield f"by {field} {descending}", [each.id for each in found]
    for text in FILTERS:
        yield f"count {text}", client.count("shelf", filter=text)
        yield f"list {text}", [each.id for each in client.list("shelf", filter=text)]
    for field in ("kind", "tags", "sale", "price"):
        yield f"facets {field}", client.facets("shelf", field)
    yield "few facets", client.facets("shelf", "price", limit=1, filter="exists(kind)")
    yield "no field", _error(lambda: client.facets("shelf", ""))
    page = client.get("shelf", ["g2", "none", "g1"], fields=EVERYTHING)
    yield "got", ([_item(each) for each in page.items], page.missing_ids)
    yield "ids as text", _error(lambda: client.delete("shelf", "g1"))
    yield "a query alone", _error(lambda: client.search_many("shelf", Query.by_id("g1")))  # type: ignore[arg-type]  # the mistake
    yield "id with a line break", _error(lambda: client.get("shelf", ["a\nb"]))


def _changes(client: Client) -> Iterator[tuple[str, Any]]:
    before = client.get("shelf", ["g1"]).items[0].version
    updates = {"g1": {"n": 1}, "a": {"n": 2**60}, "none": {}}
    yield "updated", _results(client.update_metadata("shelf", updates))
    after = client.get("shelf", ["g1"]).items[0]
    yield "newer", (after.version > before, after.metadata)
    yield "deleted", _results(client.delete("shelf", ["g2", "none"]))
    replaced = [VectorItem("g1", [0, 3, 4], {"again": True})]
    yield "replaced", _results(client.upsert_vectors("shelf", replaced))
    kept = [VectorItem("g1", [0, 4, 3]), VectorItem("fresh", [0, 1, 4])]
    yield "kept", _results(client.upsert_vectors("shelf", kept))
    yield "emptied", _results(client.upsert_vectors("shelf", [VectorItem("fresh", [0, 1, 4], {})]))
    yield "now", [_item(each) for each in client.list("shelf", fields=EVERYTHING)]
    for policy in ("accept", "flag", "reject"):
        changed = client.collections.update("shelf", duplicates=DuplicateSettings(policy, 0.875))
        yield policy, changed.duplicates
        near = [VectorItem("near", [0, 3, 4.5]), VectorItem("far", [-1, 0, 0])]
        yield f"{policy} outcome", _results(client.upsert_vectors("shelf", near))
        yield (
            f"{policy} kept",
            [
                (each.id, each.near_duplicate_of)
                for each in client.get("shelf", ["near", "far"]).items
            ],
        )
        client.delete("shelf", ["near", "far"])
    wrong = DuplicateSettings("flag", 0.0)
    yield "wrong threshold", _error(lambda: client.collections.update("shelf", duplicates=wrong))


def _collections(client: Client) -> Iterator[tuple[str, Any]]:
    client.collections.create("attic", model=None, dimension=2)
    yield "alias", client.collections.set_alias("live", "shelf")
    yield "moved", client.collections.set_alias("live", "attic")
    yield "of an alias", client.collections.get("live").name
    yield "aliases", list(client.collections.aliases())
    yield "described", client.collections.get("attic").aliases
    yield "taken", _error(lambda: client.collections.set_alias("shelf", "attic"))
    yield "alias taken", _error(lambda: client.collections.create("live", model=None, dimension=2))
    yield "named", [each.name for each in client.collections.list()]
    yield "by alias", _error(lambda: client.collections.delete("live"))
    yield (
        "expansion",
        client.collections.update("attic", expansion_search=128).index.expansion_search,
    )
    for side_px in (256, 32, 0):
        changed = client.collections.update("attic", thumbnail_side_px=side_px)
        yield f"thumbnails of {side_px}", changed.thumbnail_side_px
    wrong = client.collections.update
    yield "small thumbnails", _error(lambda: wrong("attic", thumbnail_side_px=31))
    yield "large thumbnails", _error(lambda: wrong("attic", thumbnail_side_px=257))
    yield "removed", client.collections.delete("shelf")
    yield "removed too", client.collections.delete("attic")
    yield "no aliases", list(client.collections.aliases())
    yield "gone", _error(lambda: client.count("shelf"))
    yield "no alias", _error(lambda: client.collections.delete_alias("live"))
    yield "nameless", _error(lambda: client.count(""))


def images_scenario(client: Client) -> Iterator[tuple[str, Any]]:
    """Images through the queue, with a model that tells equal bytes from others."""
    made = client.collections.create("photos")
    yield "bound", bool(made.model_fingerprint)
    images: list[QueuedMutation] = [
        ImageItem("a", image=b"one", metadata={"n": 1}),
        ImageItem("b", image=b"two"),
        ImageItem("c", image=b"poison"),
        ImageItem("d", image=b"four", metadata={"n": 4}),
        ImageItem("e"),
    ]
    yield "accepted", _accepted(client.submit_images("photos", images, job_id="j"))
    events = list(client.watch_ingest("j"))
    yield "ended", sorted(_result(event.result) for event in events)
    # Only now: an outcome tells what was there when its mutation's turn came.
    changes: list[QueuedMutation] = [
        MetadataItem("a", {"n": 2}),
        DeleteItem("b"),
        DeleteItem("none"),
        ImageItem("d", image=b"four again"),
    ]
    yield "accepted too", _accepted(client.submit_images("photos", changes, job_id="j"))
    later = list(client.watch_ingest("j", cursor=events[-1].cursor))
    yield "changed", sorted(_result(event.result) for event in later)
    yield "resumed", len(list(client.watch_ingest("j", cursor=events[-3].cursor)))
    yield "stored", [(each.id, each.metadata) for each in client.list("photos")]
    looked = client.search("photos", Query.by_image(b"four again"), limit=1).hits[0]
    yield "found", (looked.id, round(looked.score, 5), looked.metadata)
    vectors = client.make_vectors("photos", [b"four", b"five"])
    yield "vectors", (len(vectors), [round(float(row @ row), 5) for row in vectors])
    yield "no vectors", _error(lambda: client.make_vectors("own", [b"four"]))
    failures = list(client.failures("photos"))
    yield "failed", [(each.id, _reason(each.error), each.job_id) for each in failures]
    status = client.ingest_status()
    yield "idle", (status.queue_depth, status.pending)
    yield "retried", client.retry_failures([failures[0].failure_id, "0-0"]).retried
    client.collections.create("own", model=None, dimension=2)
    refused = list(client.submit_images("own", [ImageItem("a", image=b"one")]))
    yield "refused", [_reason(each.error) for each in refused]
    yield "nowhere", [_reason(each.error) for each in client.submit_images("x", images[:1])]
    unbound = [VectorItem("v", [0.5] * made.dimension)]
    yield "no fingerprint", _results(client.upsert_vectors("photos", unbound))


def _error(call: Callable[[], object]) -> tuple[str, str] | str:
    try:
        found = call()
    except LookalikeError as error:
        return (type(error).__name__, error.reason.name)
    return f"no error but {found!r}"


def _accepted(acceptances: Any) -> list[tuple[str, str]]:
    return sorted((each.id, _reason(each.error)) for each in acceptances)


def _reason(error: LookalikeError | None) -> str:
    return "" if error is None else error.reason.name


def _results(results: Any) -> list[tuple[Any, ...]]:
    return [_result(each) for each in results]


def _result(result: MutationResult) -> tuple[Any, ...]:
    near = result.near_duplicate
    return (
        result.id,
        result.status.value,
        _reason(result.error),
        "" if near is None else (near.id, _rounded(near.score)),
    )


def _found(result: SearchResult) -> Any:
    groups = [(group.value, _hits(group.hits)) for group in result.groups]
    return (_hits(result.hits), groups, result.plan_kind.value)


def _hits(hits: Any) -> list[tuple[Any, ...]]:
    return [_hit(each) for each in hits]


def _hit(hit: Hit) -> tuple[Any, ...]:
    return (hit.id, _rounded(hit.score), hit.metadata, hit.item is None or _item(hit.item))


def _item(item: Item) -> tuple[Any, ...]:
    vector = None if item.vector is None else [_rounded(each) for each in item.vector]
    timed = item.update_time is not None
    return (item.id, item.metadata, vector, item.near_duplicate_of, item.facts, timed)


def _rounded(number: float) -> float:
    """Six digits: both sides round a cosine to float32, by different sums."""
    assert math.isfinite(number)
    return round(float(number), 6) + 0.0
