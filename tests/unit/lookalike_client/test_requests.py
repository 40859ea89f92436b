"""Requests from what callers hand in."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lookalike.v1 import collection_pb2, filter_pb2
from lookalike.wire.channel import MAX_IMAGE_BYTES
from lookalike.wire.errors import ImageUnreadable, InvalidField, LimitExceeded
from lookalike_client import inputs, requests
from lookalike_client.inputs import Example, Query
from lookalike_client.types import DuplicateSettings, Fields, IndexSettings


def test_a_search_carries_what_was_asked_and_leaves_out_what_was_not() -> None:
    request = requests.search(
        "c",
        [Query.by_id("a"), Query.by_vector([0.5, 1])],
        {"limit": 3, "filter": "k = 1", "min_score": 0.0, "fields": Fields(vector=True)},
    )

    assert [query.WhichOneof("target") for query in request.queries] == ["id", "vector_f32_le"]
    assert request.queries[1].vector_f32_le == np.array([0.5, 1], "<f4").tobytes()
    assert request.filter.expression == "k = 1"
    assert request.HasField("min_score")
    assert (request.fields.metadata, request.fields.vector, request.limit) == (True, True, 3)
    bare = requests.search("c", [], {})
    assert not bare.HasField("min_score")
    assert not bare.HasField("filter")
    assert bare.fields.metadata


def test_examples_are_kept_apart() -> None:
    query = Query.by_examples(
        [Example.by_id("a"), Example.by_image(b"x")], [Example.by_vector([1])]
    )

    kinds = [each.WhichOneof("kind") for each in query.message.examples.positives]
    assert kinds == ["id", "image"]
    assert [each.WhichOneof("kind") for each in query.message.examples.negatives] == [
        "vector_f32_le"
    ]


def test_a_filter_message_passes_as_it_is() -> None:
    message = filter_pb2.Filter(exists=filter_pb2.FieldExists(field="k"))

    assert requests.condition(message) == message
    assert requests.condition("  ") is None


@pytest.mark.parametrize("wrong", [[], [[1.0]], 3.0, ["a"], None])
def test_what_is_no_row_of_numbers_is_no_vector(wrong: object) -> None:
    with pytest.raises(InvalidField, match="row of numbers"):
        inputs.vector_bytes(wrong)  # type: ignore[arg-type]  # the mistake under test


def test_pictures_come_as_bytes_or_paths(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"abc")

    assert inputs.image_bytes(path) == inputs.image_bytes(str(path)) == b"abc"
    with pytest.raises(ImageUnreadable):
        inputs.image_bytes(b"")


def test_a_file_that_is_too_large_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "large.jpg"
    with path.open("wb") as handle:
        handle.truncate(MAX_IMAGE_BYTES + 1)

    with pytest.raises(LimitExceeded, match="62,914,561 bytes; the limit is 62,914,560"):
        inputs.image_bytes(path)


def test_index_settings_tell_zero_from_nothing() -> None:
    message = requests.index_settings(
        IndexSettings(preset="fast", scalar_type="i8", graph_dimension=0)
    )

    assert message is not None
    assert message.preset == collection_pb2.INDEX_PRESET_FAST
    assert message.scalar_type == collection_pb2.SCALAR_TYPE_I8
    assert message.HasField("graph_dimension")
    assert not message.HasField("connectivity")


def test_unknown_choices_name_the_known_ones() -> None:
    with pytest.raises(InvalidField, match="fast, balanced, accurate"):
        requests.index_settings(IndexSettings(preset="best"))
    with pytest.raises(InvalidField, match="off, accept, flag, reject"):
        requests.duplicate_settings(DuplicateSettings("maybe"))
    with pytest.raises(InvalidField):
        requests.not_negative(-1, "limit")


@pytest.mark.parametrize("count", [0, 1, 1000, 1001])
def test_long_lists_are_cut_to_what_a_request_may_hold(count: int) -> None:
    ids = [str(number) for number in range(count)]

    parts = list(requests.deletions("c", ids))

    assert [item.id for part in parts for item in part.items] == ids
    assert all(1 <= len(part.items) <= 1000 for part in parts)


def test_a_collection_is_bound_to_a_model_or_to_none() -> None:
    def made(model: str | None) -> collection_pb2.CreateCollectionRequest:
        return requests.create_collection(
            "c", model=model, dimension=3, index=None, duplicates=None
        )

    assert made("").WhichOneof("binding") == "model"
    assert made(None).WhichOneof("binding") == "external_vectors"


@pytest.mark.parametrize("wrong", ["12", "", b"12", bytearray(b"1"), 12, None])
@pytest.mark.parametrize(
    ("field", "make"),
    [
        ("ids", lambda wrong: list(requests.deletions("c", wrong))),
        ("ids", lambda wrong: list(requests.gets("c", wrong, Fields()))),
        ("failure_ids", lambda wrong: list(requests.retries(wrong))),
        ("exclude_ids", lambda wrong: requests.search("c", [], {"exclude_ids": wrong})),
        ("metadata_fields", lambda wrong: requests.item_fields(Fields(metadata_fields=wrong))),
        ("images", lambda wrong: requests.make_vectors("c", wrong)),
        ("positives", Query.by_examples),
        ("negatives", lambda wrong: Query.by_examples([], wrong)),
    ],
)
def test_a_string_is_no_list(field: str, make: Callable[[Any], object], wrong: object) -> None:
    with pytest.raises(InvalidField, match="must be a list") as refused:
        make(wrong)

    assert refused.value.field == field


@pytest.mark.parametrize("wrong", [12, None, b"a", ["a"]])
def test_a_list_of_ids_holds_strings(wrong: object) -> None:
    with pytest.raises(InvalidField, match="must be a string") as refused:
        list(requests.deletions("c", ["a", wrong]))  # type: ignore[list-item]  # the mistake

    assert refused.value.field == "ids[1]"


def test_any_collection_of_strings_is_a_list() -> None:
    for ids in (("a", "b"), {"a": 1, "b": 2}, iter(["a", "b"])):
        (request,) = requests.deletions("c", ids)  # type: ignore[arg-type]  # more than promised
        assert [item.id for item in request.items] == ["a", "b"]
