"""Metadata from a table."""

from pathlib import Path

import pytest

from lookalike.wire.errors import InvalidField
from lookalike_client.indexing import metadata_csv


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    target = path / "table.csv"
    target.write_text(text, encoding=encoding)
    return target


def test_cells_become_what_they_look_like(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "file,label,price,code,sold,empty\n"
        "./a/b.jpg,Shoes,12.5,007,true,\n"
        'c.jpg,"a, b",3,x,false,\n',
    )

    table = metadata_csv.read(path)

    assert table == {
        "a/b.jpg": {"label": "Shoes", "price": 12.5, "code": "007", "sold": True},
        "c.jpg": {"label": "a, b", "price": 3, "code": "x", "sold": False},
    }


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        *[("-0.5", -0.5), ("1e3", 1000), ("0", 0), ("9007199254740993", "9007199254740993")],
        *[("1e999", "1e999"), ("0x10", "0x10"), ("NaN", "NaN"), ("True", "True"), (" 1", " 1")],
    ],
)
def test_only_json_numbers_are_numbers(cell: str, value: object) -> None:
    got = metadata_csv.value_of(cell)

    assert got == value
    assert type(got) is type(value)


def test_a_byte_order_mark_is_no_part_of_the_header(tmp_path: Path) -> None:
    assert metadata_csv.read(write(tmp_path, "file,k\na,1\n", "utf-8-sig")) == {"a": {"k": 1}}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name,k\na,1\n", "`file`"),
        ("", "`file`"),
        ("file,k\na,1,2\n", "line 2"),
        ("file,k\na\n", "line 2"),
        ("file,k\na,1\na,2\n", "twice"),
        ('file,k\na,"open\n', "line"),
    ],
)
def test_a_table_that_cannot_be_read_says_where(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(InvalidField, match=says):
        metadata_csv.read(write(tmp_path, text))


def test_another_encoding_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidField, match="UTF-8"):
        metadata_csv.read(write(tmp_path, "file,k\na,é\n", "latin-1"))
