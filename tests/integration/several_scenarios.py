"""Items with several vectors and pictures, for the fake service and the real one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from lookalike_client import (
    Client,
    DuplicateSettings,
    Example,
    Fields,
    ImageItem,
    LookalikeError,
    Query,
    SearchResult,
    VectorItem,
)

FIRST = {"a": [1.0, 0.0, 0.0], "b": [0.0, 1.0, 0.0], "c": [0.6, 0.8, 0.0]}
FURTHER = {"a": [[0.0, 0.0, 1.0], [0.0, 2.0, 0.2]], "b": [[0.9, 0.1, 0.0]], "c": []}


def several_vectors(client: Client) -> Iterator[tuple[str, Any]]:
    """An item is one hit, by its nearest vector; it is read, counted and deleted as one."""
    client.collections.create("several", model=None, dimension=3)
    items = [
        VectorItem(key, vector, {"kind": key, "n": n}, further_vectors=FURTHER[key])
        for n, (key, vector) in enumerate(FIRST.items())
    ]
    yield "several stored", [each.status.value for each in client.upsert_vectors("several", items)]
    yield (
        "several counted",
        (client.count("several"), client.collections.get("several").stats.items),
    )
    for name, vector in (*FIRST.items(), ("z", [0.0, 0.0, 1.0]), ("-", [-1.0, -1.0, 0.1])):
        query = Query.by_vector(vector)
        yield f"several near {name}", _hits(client.search("several", query))
        yield (
            f"several filtered {name}",
            _hits(client.search("several", query, filter='kind in ["a", "b"]')),
        )
        grouped = client.search("several", query, group_by="kind", limit=2)
        yield (
            f"several grouped {name}",
            [[(hit.id, hit.matched_vector) for hit in group.hits] for group in grouped.groups],
        )
        pages = client.search_pages("several", query, limit=1)
        yield f"several paged {name}", [_hits(page) for page in pages]
        varied = client.search("several", query, diversity=0.6, limit=3)
        yield f"several varied {name}", _hits(varied)
    yield "several by id", _hits(client.search("several", Query.by_id("a")))
    best = Query.by_examples(
        [Example.by_id("a"), Example.by_vector([0, 0, 1])],
        [Example.by_vector([0, 1, 0])],
        best_score=True,
    )
    yield "several best", _hits(client.search("several", best))
    yield (
        "several boosted",
        _hits(
            client.search(
                "several",
                Query.by_vector([1, 0, 0]),
                boosts=["0.5 * exp(n, 2, 1)"],
            )
        ),
    )
    yield (
        "several read",
        [
            (item.id, _rounded([item.vector, *item.further_vectors]))
            for item in client.get("several", list(FIRST), fields=Fields(vector=True)).items
        ],
    )
    yield (
        "several short",
        len(client.get("several", ["a"], fields=Fields(metadata=True)).items[0].further_vectors),
    )
    facets = client.facets("several", "kind")
    yield "several facets", (sorted(facets.counts), facets.items)
    client.update_metadata("several", {"a": {"kind": "x"}})
    yield (
        "several told",
        _hits(client.search("several", Query.by_vector([0, 0, 1]), filter='kind = "x"')),
    )
    list(client.upsert_vectors("several", [VectorItem("a", [0, 1, 0])]))
    yield "several replaced", _hits(client.search("several", Query.by_vector([0, 0, 1])))
    client.delete("several", ["b"])
    yield "several deleted", _hits(client.search("several", Query.by_vector([0.9, 0.1, 0])))
    wrong = [
        VectorItem("w", [1, 0, 0], further_vectors=[[1, 0]]),
        VectorItem("w", [1, 0, 0], further_vectors=[[0, 0, 0]]),
        VectorItem("w", [1, 0, 0], further_vectors=[[0, 1, 0]] * 64),
        VectorItem("full", [1, 0, 0], further_vectors=[[0, 1, 0]] * 63),
    ]
    yield (
        "several wrong",
        [
            (each.id, each.status.value, _reason(each.error))
            for each in client.upsert_vectors("several", wrong)
        ],
    )
    client.collections.update("several", duplicates=DuplicateSettings("reject", 0.999))
    twin = [VectorItem("twin", [0, 0, 1], further_vectors=[[0.6, 0.8, 0]])]
    yield (
        "several twins",
        [
            (each.status.value, each.near_duplicate and each.near_duplicate.id)
            for each in client.upsert_vectors("several", twin)
        ],
    )


def several_pictures(client: Client, collection: str) -> Iterator[tuple[str, Any]]:
    """The queue embeds each picture of an item."""
    images = [
        ImageItem("cup", b"cup front", {"n": 1}, further_images=[b"cup side", b"cup top"]),
        ImageItem("jar", b"jar front", further_images=[b"poison jar"]),
        ImageItem("pot", b"pot front", further_images=[b""]),
        ImageItem("pan", b"pan", further_images=[b"pan"] * 64),
    ]
    accepted = client.submit_images(collection, images, job_id="several")
    yield "pictures accepted", sorted((each.id, _reason(each.error)) for each in accepted)
    ended = [event.result for event in client.watch_ingest("several")]
    yield (
        "pictures ended",
        sorted((each.id, each.status.value, _reason(each.error)) for each in ended),
    )
    for name in (b"cup front", b"cup side", b"cup top"):
        found = client.search(collection, Query.by_image(name), limit=1)
        yield f"pictures near {name.decode()}", _hits(found)
    (cup,) = client.get(collection, ["cup"], fields=Fields(vector=True)).items
    yield "pictures of a cup", len(cup.further_vectors)
    failed = [each for each in client.failures(collection) if each.id == "jar"]
    yield "pictures failed", [each.error.message.startswith("picture 2 of 2") for each in failed]


def _hits(result: SearchResult) -> list[tuple[str, float, int]]:
    return [(hit.id, round(hit.score, 5) + 0.0, hit.matched_vector) for hit in result.hits]


def _rounded(vectors: Any) -> list[list[float]]:
    return [[round(float(each), 6) + 0.0 for each in vector] for vector in np.stack(vectors)]


def _reason(error: LookalikeError | None) -> str:
    return "" if error is None else error.reason.name
