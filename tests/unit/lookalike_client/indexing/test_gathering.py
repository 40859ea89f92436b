"""Files that a table says are of one item."""

from __future__ import annotations

from pathlib import Path

import pytest

from lookalike.wire.errors import InvalidField, LimitExceeded
from lookalike_client.indexing.gathering import gather
from lookalike_client.indexing.scan import FileEntry
from lookalike_client.types import Metadata

ROOT = Path("/photos")


def files(*names: str) -> list[FileEntry]:
    return [FileEntry(name, name, ROOT / name, ROOT) for name in names]


def test_files_with_one_value_are_pictures_of_one_item_in_the_tables_order() -> None:
    table: dict[str, Metadata] = {
        "b.jpg": {"product": "cup", "price": 3},
        "c.jpg": {"product": "7.50", "price": 5},
        "a.jpg": {"product": "cup", "price": 4, "colour": "red"},
        "e.jpg": {"price": 9},
    }
    items, said = gather(files("a.jpg", "b.jpg", "c.jpg", "d.jpg", "e.jpg"), table, "product", "x/")

    assert [(each.id, each.path.name, [path.name for path in each.further]) for each in items] == [
        ("x/cup", "b.jpg", ["a.jpg"]),
        ("x/7.50", "c.jpg", []),
        ("e.jpg", "e.jpg", []),
        ("d.jpg", "d.jpg", []),
    ]
    assert said == {
        "x/cup": {"product": "cup", "price": 3, "colour": "red"},
        "x/7.50": {"product": "7.50", "price": 5},
        "e.jpg": {"price": 9},
    }


@pytest.mark.parametrize("first", [True, False])
def test_an_item_and_a_file_of_none_do_not_share_an_id(first: bool) -> None:
    rows: list[tuple[str, Metadata]] = [("a.jpg", {"n": 1}), ("b.jpg", {"product": "a.jpg"})]
    table = dict(rows if first else rows[::-1])

    with pytest.raises(InvalidField, match=r'"a\.jpg" is an item, and a file that is of none'):
        gather(files("a.jpg", "b.jpg"), table, "product")


def test_a_column_that_no_row_has_is_named() -> None:
    with pytest.raises(InvalidField, match=r"no row of the table .* `products`"):
        gather(files("a.jpg"), {"a.jpg": {"product": "cup"}}, "products")


def test_an_item_has_as_many_files_as_the_contract_takes() -> None:
    names = [f"{number}.jpg" for number in range(65)]
    table: dict[str, Metadata] = {name: {"product": "cup"} for name in names}

    items, _ = gather(files(*names[:64]), dict(list(table.items())[:64]), "product")
    assert len(items[0].further) == 63
    with pytest.raises(LimitExceeded, match='"cup" has 65 files; an item has at most 64'):
        gather(files(*names), table, "product")
