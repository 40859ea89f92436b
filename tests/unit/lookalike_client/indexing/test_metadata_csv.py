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
        'file,label,price,code,sold,empty\na/b.jpg,Shoes,12.5,007,true,\nc.jpg,"a, b",3,x,false,\n',
    )

    table = {row.name: row.metadata for row in metadata_csv.read(path)}

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
    (row,) = metadata_csv.read(write(tmp_path, "file,k\na,1\n", "utf-8-sig"))
    assert (row.name, row.metadata, row.line) == ("a", {"k": 1}, 2)


@pytest.mark.parametrize(
    "text",
    [
        *("file;k;l\na.jpg;1;x, y\n", "file\tk\tl\na.jpg\t1\tx, y\n", "file|k|l\na.jpg|1|x, y\n"),
        *('File,k,l\na.jpg,1,"x, y"\n', 'FILENAME,k,l\n\n,,\na.jpg,1,"x, y"\n'),
        *('k,file_name,l\n1,a.jpg,"x, y"\n', 'k, Path ,l\n1,a.jpg,"x, y"\n'),
        *('file, k, l\na.jpg, 1, "x, y"\n', "sep=;\r\nfile;k;l\r\na.jpg;1;x, y\r\n"),
        *('path,File,k,l\nelsewhere,a.jpg,1,"x, y"\n', 'file,k,l,,\na.jpg,1,"x, y",,\n'),
        " file ; k ; l \n a.jpg ; 1 ; x, y \n",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_tables_as_people_have_them(tmp_path: Path, text: str, encoding: str) -> None:
    (row,) = metadata_csv.read(write(tmp_path, text, encoding))

    assert row.name == "a.jpg"
    assert {key: row.metadata[key] for key in ("k", "l")} == {"k": 1, "l": "x, y"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name,k\na,1\n", "`file`"),
        ("", "`file`"),
        ("name;k\na;1\n", "it has `name`, `k`"),
        ("file,k,k\na,1,2\n", "a column twice: `k`"),
        ("file,k, k\na,1,2\n", "a column twice: `k`"),
        ("file,File,k\na,1,2\n", "files twice: `file`, `File`, `k`"),
        (",file,k\n0,a,2\n", "column 1 of the table has no name"),
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


def test_a_column_with_a_number_that_is_not_exact_is_text(tmp_path: Path) -> None:
    text = "file,code,n\na,7,1\nb,9007199254740993,2\nc,1.5,3\nd,,4\n"

    table = {row.name: row.metadata for row in metadata_csv.read(write(tmp_path, text))}

    assert table == {
        "a": {"code": "7", "n": 1},
        "b": {"code": "9007199254740993", "n": 2},
        "c": {"code": "1.5", "n": 3},
        "d": {"n": 4},
    }
