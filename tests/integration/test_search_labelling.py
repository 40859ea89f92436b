"""Label suggestions over a socket."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from lookalike_client import Client, InvalidField, LabelSuggestions, VectorItem
from tests.integration.search_server import SearchServer, running

KINDS, EACH, DIMENSION = 5, 60, 24
RNG = np.random.default_rng(8)
LABELS = np.repeat(np.arange(KINDS), EACH)
VECTORS = RNG.normal(size=(KINDS, DIMENSION))[LABELS] + RNG.normal(
    scale=0.8, size=(KINDS * EACH, DIMENSION)
)
# Of each kind a third has no label, and one item has another kind's.
UNKNOWN = np.arange(KINDS * EACH) % 3 == 0
WRONG = {EACH * kind + 1: (kind + 1) % KINDS for kind in range(KINDS)}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SearchServer]:
    with running(tmp_path_factory.mktemp("data")) as server:
        server.create("kinds", DIMENSION)
        with Client(f"127.0.0.1:{server.port}") as client:
            results = list(client.upsert_vectors("kinds", map(_item, range(KINDS * EACH))))
            assert all(result.error is None for result in results)
        yield server


def _item(number: int) -> VectorItem:
    label = WRONG.get(number, int(LABELS[number]))
    metadata = {} if UNKNOWN[number] else {"kind": f"kind-{label}"}
    return VectorItem(f"item-{number}", VECTORS[number], metadata)


def suggest(server: SearchServer, **options: object) -> LabelSuggestions:
    with Client(f"127.0.0.1:{server.port}") as client:
        return client.analysis.suggest_labels("kinds", "kind", **options)  # type: ignore[arg-type]


def test_items_without_a_label_get_that_of_their_kind(server: SearchServer) -> None:
    found = suggest(server)
    assert (found.items, found.labelled, found.labels) == (300, 200, KINDS)
    assert {each.id for each in found.suggestions} == {
        f"item-{number}" for number in np.flatnonzero(UNKNOWN)
    }
    right = [each.label == _true(each.id) for each in found.suggestions]
    assert np.mean(right) >= 0.9
    confidences = [each.confidence for each in found.suggestions]
    assert confidences == sorted(confidences)
    # What is said of confidence holds, within what 100 items can tell.
    assert abs(np.mean(confidences) - np.mean(right)) <= 0.1
    assert all(each.present == "" for each in found.suggestions)


def test_wrong_labels_are_named_first(server: SearchServer) -> None:
    found = suggest(server, errors=True)
    first = {each.id for each in found.suggestions[: len(WRONG)]}
    assert len(first & {f"item-{number}" for number in WRONG}) >= len(WRONG) - 1
    assert all(each.present not in ("", each.label) for each in found.suggestions)


def test_as_many_as_are_asked_for_are_named(server: SearchServer) -> None:
    assert len(suggest(server, limit=3).suggestions) == 3
    held = suggest(server, filter='kind = "kind-1" or kind = "kind-2"')
    assert (held.labels, held.suggestions) == (2, [])


@pytest.mark.parametrize("options", [{"neighbours": 101}, {"filter": "kind = 'kind-1'"}])
def test_what_cannot_be_suggested_is_refused(
    server: SearchServer, options: dict[str, object]
) -> None:
    with pytest.raises(InvalidField):
        suggest(server, **options)


def _true(id: str) -> str:
    return f"kind-{LABELS[int(id.removeprefix('item-'))]}"
