"""JSON objects as messages, and back."""

from hypothesis import given
from hypothesis import strategies as st

from lookalike_client import structs
from lookalike_client.types import JsonValue

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS
)


def objects(levels: int) -> st.SearchStrategy[dict[str, JsonValue]]:
    values: st.SearchStrategy[JsonValue] = SCALARS
    if levels > 1:
        values |= st.lists(SCALARS, max_size=4) | objects(levels - 1)
    return st.dictionaries(TEXTS, values, max_size=4)


@given(objects(4))
def test_every_object_comes_back_equal(metadata: dict[str, JsonValue]) -> None:
    assert structs.to_dict(structs.from_dict(metadata)) == metadata


def test_whole_numbers_come_back_as_integers() -> None:
    back = structs.to_dict(structs.from_dict({"a": 3, "b": 2.5, "c": 1e300}))

    assert {key: type(value) for key, value in back.items()} == {"a": int, "b": float, "c": float}
