"""Pages of a search, merges and changes by filter: the same for the fake and the real service."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from lookalike_client import (
    Client,
    DeleteProgress,
    Fields,
    LookalikeError,
    MutationResult,
    Query,
    UpdateProgress,
    VectorItem,
)

ITEMS = 300
NEAR = Query.by_vector([0.6, 0.8, 0.0])


def changes_scenario(client: Client) -> Iterator[tuple[str, Any]]:
    """All that can be done to many items at once, and one after the other."""
    client.collections.create("many", model=None, dimension=3)
    client.collections.create("other", model=None, dimension=3)
    items = [
        VectorItem(f"i{n:03}", [1.0, n % 7, n % 11], {"n": n, "odd": bool(n % 2), "c": {"d": n}})
        for n in range(ITEMS)
    ]
    stored = list(client.upsert_vectors("many", items))
    yield "stored", len(stored)
    yield from _pages(client)
    yield from _wrong_pages(client)
    yield from _merges(client)
    yield from _updates(client)
    yield from _deletions(client)


def _pages(client: Client) -> Iterator[tuple[str, Any]]:
    whole = client.search("many", NEAR, limit=1_000).hits
    for limit in (1, 7, 299, 300, 301):
        pages = list(client.search_pages("many", NEAR, limit=limit))
        yield f"pages of {limit}", [len(page.hits) for page in pages]
        hits = [(hit.id, hit.score) for page in pages for hit in page.hits]
        yield f"all in pages of {limit}", hits == [(hit.id, hit.score) for hit in whole]
    odd = list(client.search_pages("many", NEAR, limit=50, filter="odd = true", min_score=0.5))
    yield "filtered", [[hit.id for hit in page.hits] for page in odd]
    yield "ends", [bool(page.next_page_token) for page in odd]
    stored = list(client.search_pages("many", Query.by_id("i005"), limit=100))
    yield "by id", [hit.id for page in stored for hit in page.hits]
    first = next(client.search_pages("many", NEAR, limit=5))
    token = first.next_page_token
    bare = Fields(metadata=False)
    later = client.search_pages("many", NEAR, limit=3, fields=bare, page_token=token)
    yield "other size", [hit.id for hit in next(later).hits]
    yield "not paged", client.search("many", NEAR, limit=5).next_page_token
    yield "none", [len(each.hits) for each in client.search_pages("other", NEAR)]


def _wrong_pages(client: Client) -> Iterator[tuple[str, Any]]:
    token = next(client.search_pages("many", NEAR, limit=5)).next_page_token
    for name, page in {
        "query": lambda: client.search_pages(
            "many", Query.by_vector([1, 0, 0]), limit=5, page_token=token
        ),
        "filter": lambda: client.search_pages("many", NEAR, filter="n = 1", page_token=token),
        "score": lambda: client.search_pages("many", NEAR, min_score=0.1, page_token=token),
        "exclude": lambda: client.search_pages("many", NEAR, exclude_ids=["a"], page_token=token),
        "collection": lambda: client.search_pages("other", NEAR, page_token=token),
        "cut": lambda: client.search_pages("many", NEAR, page_token=token[:-3]),
        "nonsense": lambda: client.search_pages("many", NEAR, page_token="next!"),
        "groups": lambda: client.search_pages("many", NEAR, group_by="odd"),
    }.items():
        yield f"wrong {name}", _error(partial(_first, page))


def _merges(client: Client) -> Iterator[tuple[str, Any]]:
    patches: dict[str, dict[str, Any]] = {
        "i000": {"n": None, "c": {"d": None, "e": [1, None]}, "new": "x"},
        "i001": {"c": 1},
        "i002": {"odd": {"a": {"b": None}}},
        "i003": {},
        "none": {"n": 1},
        "i004": {"big": "x" * 9_000},
    }
    yield "merged", _results(client.update_metadata("many", patches, merge=True))
    yield "now", [each.metadata for each in client.get("many", list(patches)).items[:4]]
    again = client.update_metadata("many", {"i004": {"more": "x" * 9_000}}, merge=True)
    yield "too large", _results(again)
    yield "named", '"i004"' in (again[0].error.message if again[0].error else "")
    yield "kept", sorted(client.get("many", ["i004"]).items[0].metadata)


def _updates(client: Client) -> Iterator[tuple[str, Any]]:
    dry = client.update_by_filter("many", {"seen": True}, "n < 200", dry_run=True)
    yield "would update", [_progress(each) for each in dry]
    yield "nothing yet", client.count("many", filter="seen = true")
    yield "updated", _last(client.update_by_filter("many", {"seen": True}, "n < 200"))
    yield "seen", client.count("many", filter="seen = true and exists(c)")
    yield "again", _last(client.update_by_filter("many", {"seen": True}, "n < 200"))
    out = client.update_by_filter("many", {"c": None, "n": 1_000}, "n < 50")
    yield "no longer met", _last(out)
    yield "taken away", client.count("many", filter="n = 1000 and not exists(c)")
    failing = list(client.update_by_filter("many", {"more": "x" * 9_000}, "exists(big)"))
    yield "failed", _progress(failing[-1])
    yield "why", [result for each in failing for result in _results(each.failures)]
    replaced = client.update_by_filter("many", {"n": 5}, "n >= 290 and n < 300", merge=False)
    yield "replaced", _last(replaced)
    yield "only that", client.count("many", filter="n = 5 and not exists(odd)")
    for name, call in {
        "no filter": lambda: client.update_by_filter("many", {"a": 1}),
        "always met": lambda: client.update_by_filter("many", {"a": 1}, "true"),
        "not not": lambda: client.update_by_filter("many", {"a": 1}, "not not true"),
        "both": lambda: client.update_by_filter("many", {"a": 1}, "n = 1", all_items=True),
        "nothing": lambda: client.update_by_filter("many", {}, "n = 1"),
        "bad filter": lambda: client.update_by_filter("many", {"a": 1}, "n = = 1"),
        "nowhere": lambda: client.update_by_filter("nowhere", {"a": 1}, "n = 1"),
    }.items():
        yield f"wrong update: {name}", _error(partial(_first, call))
    yield "one is 1", _last(client.update_by_filter("many", {"n": 1}, "n = 60"))
    yield "true for 1", _last(client.update_by_filter("many", {"n": True}, "n = 1"))
    yield "1 for true", _last(client.update_by_filter("many", {"n": 1}, "n = true"))
    yield "never met", _last(client.update_by_filter("many", {"a": 1}, "false"))
    yield "all", _last(client.update_by_filter("many", {"a": 1}, all_items=True))
    yield "all again", _last(client.update_by_filter("many", {"a": 1}, "true", all_items=True))


def _deletions(client: Client) -> Iterator[tuple[str, Any]]:
    dry = client.delete_by_filter("many", "seen = true", dry_run=True)
    yield "would delete", [_progress(each) for each in dry]
    yield "deleted", _last(client.delete_by_filter("many", "seen = true"))
    yield "left", (client.count("many"), client.count("many", filter="seen = true"))
    yield "deleted again", _last(client.delete_by_filter("many", "seen = true"))
    yield "no filter", _error(lambda: _first(lambda: client.delete_by_filter("many")))
    both = partial(client.delete_by_filter, "many", "n = 1", all_items=True)
    yield "both", _error(lambda: _first(both))
    yield "all deleted", _last(client.delete_by_filter("many", all_items=True))
    yield "empty", client.count("many")


def _first(pages: Callable[[], Iterator[Any]]) -> Any:
    return next(pages())


def _last(progress: Iterator[DeleteProgress | UpdateProgress]) -> tuple[int, ...]:
    *_, last = progress
    assert last.done
    return _progress(last)


def _progress(progress: DeleteProgress | UpdateProgress) -> tuple[int, ...]:
    if isinstance(progress, DeleteProgress):
        return progress.matched, progress.items, progress.deleted
    counts = (progress.updated, progress.unchanged, progress.failed)
    return (progress.matched, progress.items, *counts)


def _results(results: Any) -> list[tuple[str, str, str]]:
    return [_result(each) for each in results]


def _result(result: MutationResult) -> tuple[str, str, str]:
    return result.id, result.status.value, result.error.reason.name if result.error else ""


def _error(call: Callable[[], object]) -> tuple[str, str, str] | str:
    try:
        found = call()
    except LookalikeError as error:
        return (type(error).__name__, error.reason.name, error.field)
    return f"no error but {found!r}"
