"""`lookalike index` against the fake service."""

import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lookalike_client import Client, Query
from lookalike_client.testing import FakeServer
from tests.unit.lookalike_client.cli.running import Ran, ran

JPEG = b"\xff\xd8\xff\xe0"
PSD = b"8BPS\x00\x01"

Index = Callable[..., Ran]


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer() as running:
        yield running


@pytest.fixture
def index(server: FakeServer, capsys: pytest.CaptureFixture[str]) -> Index:
    def run(*arguments: str | Path) -> Ran:
        return ran(capsys, "--address", server.address, "index", *map(str, arguments), "--wait")

    return run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.jpg", "sub/b.jpg", "é.jpg"):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(JPEG + name.encode())
    return tmp_path / "photos"


def stored(server: FakeServer) -> dict[str, object]:
    with Client(server.address) as client:
        return {item.id: item.metadata for item in client.list("images")}


def test_a_run_without_the_table_keeps_the_labels(
    server: FakeServer, index: Index, folder: Path, tmp_path: Path
) -> None:
    table = tmp_path / "labels.csv"
    table.write_text("file,label\na.jpg,one\nsub/b.jpg,two\né.jpg,three\n")
    index(folder, "--metadata-csv", table)
    with Client(server.address) as client:
        client.update_metadata("images", {"é.jpg": {"label": "by hand"}})
    (folder / "a.jpg").write_bytes(JPEG + b"changed")
    labels = {"a.jpg": {"label": "one"}, "sub/b.jpg": {"label": "two"}}

    again = index(folder, "--json")
    table.write_text("file,label\na.jpg,\nsub/b.jpg,\né.jpg,\n")
    assert index(folder, "--metadata-csv", table).code == 0

    assert (again.code, again.json["outcomes"]["unchanged"]) == (0, 2)
    assert stored(server) == labels | {"é.jpg": {"label": "by hand"}}
    assert index(folder, "--replace-metadata").code == 0
    assert stored(server) == {"a.jpg": {}, "sub/b.jpg": {}, "é.jpg": {}}


@pytest.mark.parametrize("as_json", [False, True])
def test_a_table_of_other_files_stops_before_anything_is_sent(
    server: FakeServer, index: Index, folder: Path, tmp_path: Path, as_json: bool
) -> None:
    table = tmp_path / "labels.csv"
    table.write_text("file,label\na.jpg,one\nimg/1.jpg,two\nimg/2.jpg,three\n")

    told = index(folder, "--metadata-csv", table, *(["--json"] if as_json else []))

    assert told.code == 1
    message = told.json["error"]["message"] if as_json else told.err
    for part in ("2 of 3 rows", "'img/1.jpg'", "'sub/b.jpg'", "Nothing was sent"):
        assert part in message
    with Client(server.address) as client:
        assert list(client.collections.list()) == []
    assert index(folder, "--metadata-csv", table, "--allow-unmatched").code == 0
    assert stored(server)["a.jpg"] == {"label": "one"}


def test_names_in_a_table_are_found_however_they_are_written(
    server: FakeServer, index: Index, folder: Path, tmp_path: Path
) -> None:
    table = tmp_path / "labels.csv"
    rows = [".\\a.jpg;1", "photos\\sub\\b.jpg;2", unicodedata.normalize("NFD", "é.jpg") + ";3"]
    table.write_text("\n".join(["\ufeffFile; label", *rows]))

    told = index(folder, "--metadata-csv", table, "--json")

    assert (told.code, told.json["table"]["matched"]) == (0, 3)
    assert stored(server) == {
        "a.jpg": {"label": 1},
        "sub/b.jpg": {"label": 2},
        "é.jpg": {"label": 3},
    }


def test_rows_of_files_in_another_format_are_no_strangers(
    index: Index, folder: Path, tmp_path: Path
) -> None:
    table = tmp_path / "labels.csv"
    table.write_text("file,label\na.jpg,1\nx.psd,2\ny.psd,3\n")
    for name in ("x.psd", "y.psd"):
        (folder / name).write_bytes(PSD)

    told = index(folder, "--metadata-csv", table, "--json")

    assert told.code == 0
    assert told.json["table"]["rows_of_skipped_files"] == ["x.psd", "y.psd"]
    assert told.json["skipped_formats"] == {"PSD": 2}


def test_each_file_has_one_outcome_and_the_sum_is_right(index: Index, folder: Path) -> None:
    index(folder)
    (folder / "new.jpg").write_bytes(JPEG + b"new")
    (folder / "bad\nname.jpg").write_bytes(JPEG)
    (folder / "@eaDir").mkdir()

    told = index(folder, "--json").json
    (folder / "newer.jpg").write_bytes(JPEG + b"newer")
    text = index(folder)

    assert told["outcomes"] == {
        "unchanged": 3,
        "stored": 1,
        "rejected": 0,
        "failed": 1,
        "waiting": 0,
        "lost": 0,
    }
    assert "error" not in told
    assert told["files"] == sum(told["outcomes"].values())
    assert [each["id"] for each in told["failed"]] == ["bad\\nname.jpg"]
    assert told["passed_over"] == {"folders": {"@eaDir": 1}, "files": 0}
    assert text.code == 1
    assert "6 files: 4 unchanged, 1 stored and searchable, 1 failed (" in text.out
    assert "passed over, hidden or the system's: 1 folder (@eaDir), 0 files" in text.out


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"a.psd": PSD, "b.pdf": b"%PDF-1.7"}, "1 PSD, 1 PDF"),
        ({"notes.txt": b"text"}, "among 1 other files"),
        ({}, "no files"),
        ({".hidden.jpg": JPEG}, "hidden"),
        ({"a\n.jpg": JPEG}, "1 failed"),
    ],
)
def test_nothing_indexed_is_a_failure_with_its_reason(
    index: Index, tmp_path: Path, files: dict[str, bytes], says: str
) -> None:
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)

    text = index(tmp_path)
    told = index(tmp_path, "--json")

    assert (text.code, told.code) == (1, 1)
    assert "error: nothing was indexed" in text.err
    assert says in text.err
    assert says in told.json["error"]["message"]


def test_a_column_of_the_table_says_which_pictures_are_of_one_item(
    server: FakeServer,
    index: Index,
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    table = tmp_path / "products.csv"
    table.write_text("file,product,price\na.jpg,7.50,3\nsub/b.jpg,7.50,\né.jpg,,1\n")
    ran_once = index(folder, "--metadata-csv", table, "--item-column", "product", "--json")

    assert ran_once.code == 0
    assert stored(server) == {"7.50": {"product": "7.50", "price": 3}, "é.jpg": {"price": 1}}
    with Client(server.address) as client:
        (found,) = client.search("images", Query.by_image(JPEG + b"sub/b.jpg"), limit=1).hits
    assert (found.id, found.matched_vector) == ("7.50", 1)
    (tmp_path / "b.jpg").write_bytes(JPEG + b"sub/b.jpg")
    told = ran(capsys, "--address", server.address, "search", str(tmp_path / "b.jpg"), "--json")
    assert told.json["hits"][0]["matched_vector"] == 1
    without = index(folder, "--item-column", "product")
    assert without.code == 2
    assert "--item-column is one of a table" in without.err
