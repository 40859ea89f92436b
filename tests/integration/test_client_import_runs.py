"""Runs of `lookalike import`: bad rows, again, folders, edited exports."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lookalike_client import VectorItem
from lookalike_client.cli.main import run
from lookalike_client.types import ImageFacts
from tests.integration.importing import DIMENSION, MATRIX, ROWS, Importer, importing, labels
from tests.integration.search_server import running

pa = pytest.importorskip("pyarrow", reason="the extra parquet is not installed")
pq = pytest.importorskip("pyarrow.parquet", reason="the extra parquet is not installed")


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running(tmp_path_factory.mktemp("data")) as server:
        yield f"127.0.0.1:{server.port}"


@pytest.fixture
def bring(address: str, capsys: pytest.CaptureFixture[str]) -> Iterator[Importer]:
    with importing(address, capsys) as importer:
        yield importer


def lists(kind: Any) -> Any:
    return pa.array(MATRIX.tolist(), pa.list_(kind))


def test_bad_rows_are_listed_and_the_others_stored(bring: Importer, tmp_path: Path) -> None:
    vector = MATRIX[0].tolist()
    rows: list[object] = [
        {"id": "good", "vector": vector, "extra": {"a": [1]}},
        {"vector": vector},
        {"id": None, "vector": vector},
        {"id": "no vector"},
        {"id": "null vector", "vector": None},
        {"id": "short", "vector": vector[:-1]},
        {"id": "text", "vector": ["a"] * DIMENSION},
        {"id": "null within", "vector": [None, *vector[1:]]},
        {"id": "too large", "vector": [1e300, *vector[1:]]},
        {"id": "zeros", "vector": [0.0] * DIMENSION},
        {"id": "c\nc", "vector": vector},
        {"id": True, "vector": vector},
        ["no object"],
        {"id": 7.0, "vector": vector, "caption": None},
    ]
    text = "\n".join(map(json.dumps, rows)) + "\n{broken\n"
    file, failures = tmp_path / "rows.jsonl", tmp_path / "failures.jsonl"
    file.write_bytes(text.encode() + b'{"id": "\xff", "vector": []}\n')

    told = bring(file, "--failures", failures, code=1)

    assert (told["stored"], told["failed"]) == (2, len(rows))
    assert set(bring.stored("images")) == {"good", "7"}
    listed = [json.loads(line) for line in failures.read_text().splitlines()]
    assert len(listed) == len(rows)
    by_id = {each["id"]: each for each in listed}
    assert "rows.jsonl, line 6: " in by_id["short"]["message"]
    assert by_id["null within"]["reason"] == "VECTOR_NOT_FINITE"
    assert {"no vector", "null vector", "text", "too large", "zeros", "c\nc"} <= set(by_id)
    assert sum("line 15" in each["message"] for each in listed) == 1


def test_it_can_be_run_again(bring: Importer, tmp_path: Path) -> None:
    file = tmp_path / "rows.parquet"
    half = pa.table({"id": labels(), "vector": lists(pa.float64()), "n": range(ROWS)})
    pq.write_table(half.slice(0, 10), file)  # as if the first run had come so far
    bring(file)
    versions = {key: each.version for key, each in bring.stored("images").items()}
    pq.write_table(half, file)

    again = bring(file)
    third = bring(file)

    assert (again["stored"], again["unchanged"]) == (ROWS - 10, 10)
    assert (third["stored"], third["unchanged"]) == (0, ROWS)
    stored = bring.stored("images")
    assert {key: stored[key].version for key in versions} == versions

    bring(file, "--metadata-columns", "")
    pq.write_table(half.set_column(1, "vector", half["vector"].take(list(range(ROWS))[::-1])), file)
    turned = bring(file, "--metadata-columns", "")
    assert turned["stored"] == ROWS
    assert bring.stored("images")["label 3"].metadata == {"n": 3}


def test_of_rows_with_one_id_the_last_holds(bring: Importer, tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    rows = [{"id": "a", "vector": MATRIX[at].tolist(), "n": at} for at in (1, 2)]
    rows += [{"id": f"other {at}", "vector": MATRIX[at].tolist(), "n": at} for at in (3, 4)]
    file.write_text("\n".join(map(json.dumps, rows)))
    for _ in range(3):
        assert bring(file)["repeated_ids"] == 1
        assert bring.stored("images")["a"].metadata == {"n": 2}


def test_a_folder_is_read_with_all_its_tables(bring: Importer, tmp_path: Path) -> None:
    table = pa.table({"id": labels(), "vector": lists(pa.float32()), "n": range(ROWS)})
    (tmp_path / "part").mkdir()
    pq.write_table(table.slice(0, 10), tmp_path / "part" / "0.parquet")
    pq.write_table(table.slice(10, 10).drop_columns(["n"]), tmp_path / "part" / "1.parquet")
    more = table.slice(20).append_column("more", pa.array(["m"] * 10))
    pq.write_table(more, tmp_path / "part" / "2.parquet")
    pq.write_table(table.drop_columns(["vector"]), tmp_path / "part" / "3.parquet")
    (tmp_path / "part" / "4.parquet").write_bytes(b"PAR1 broken")
    (tmp_path / "about.csv").write_text("name,license\nphotos,free\n")
    (tmp_path / "state.json").write_text("{}")
    (tmp_path / "_SUCCESS").touch()

    told = bring(tmp_path, code=1)

    assert (told["stored"], told["failed"]) == (ROWS, 3)
    assert "about.csv: no column 'vector'" in bring.err
    assert "4.parquet" in bring.err
    assert "3.parquet: no column 'vector'" in bring.err
    stored = bring.stored("images")
    assert (stored["label 0"].metadata, stored["label 15"].metadata) == ({"n": 0}, {})


def test_nothing_is_written_by_a_dry_run(bring: Importer, tmp_path: Path) -> None:
    file = tmp_path / "rows.parquet"
    table = {"key": labels(), "title": labels(), "emb": lists(pa.float32()), "raw": [b"x"] * ROWS}
    pq.write_table(pa.table(table), file)

    told = bring(file, "--dry-run")

    assert told["id_column"] == "key"
    assert (told["vector_column"], told["dimension"], told["rows"]) == ("emb", DIMENSION, ROWS)
    assert (told["metadata_columns"], told["left_out"]) == (["title"], ["raw"])
    assert list(bring.client.collections.list()) == []
    chosen = bring(file, "--id-column", "title", "--metadata-columns", "key", "--dry-run")
    assert (chosen["id_column"], chosen["metadata_columns"]) == ("title", ["key"])
    assert chosen["guessed"] == ["vector"]
    for option in ("--id-column", "--vector-column", "--metadata-columns"):
        assert bring(file, option, "nope", code=1) is None
        assert "there is no column 'nope'; there are key, title, emb, raw" in bring.err
    two = pa.table({"id": labels(), "a": lists(pa.float32()), "b": lists(pa.float32())})
    pq.write_table(two, file)
    assert bring(file, code=1) is None
    assert "a, b all hold vectors" in bring.err


@pytest.mark.parametrize("keeps", [True, False], ids=["schema-kept", "schema-dropped"])
def test_an_edited_export_comes_back(bring: Importer, tmp_path: Path, keeps: bool) -> None:
    facts = ImageFacts(3, 4, 5, "00" * 32, "0" * 16, 0.5, "PNG", b"thumb")
    items = [
        VectorItem(f"i{at}", row, {"n": at, "none": None}, facts=facts if at % 2 else None)
        for at, row in enumerate(MATRIX)
    ]
    bring.client.collections.create("photos", model=None, dimension=DIMENSION)
    assert all(each.error is None for each in bring.client.upsert_vectors("photos", items))
    file = tmp_path / "photos.parquet"
    assert run(["--address", bring.address, "export", "-c", "photos", str(file)]) == 0
    bring.capsys.readouterr()
    table = pq.read_table(file)
    edited = (
        table.slice(5)
        .append_column("label", pa.array([f"new {at}" for at in range(ROWS - 5)]))
        .set_column(1, "vector", table.slice(5)["vector"].cast(pa.list_(pa.float64())))
        .select(["version", "label", "metadata", "facts", "vector", "id"])
    )
    pq.write_table(edited if keeps else edited.replace_schema_metadata(None), file)

    bring(file, "-c", "edited")

    was, now = bring.stored("photos"), bring.stored("edited")
    kept = sorted(was)[5:]
    assert sorted(now) == kept
    for at, key in enumerate(kept):
        each = now[key]
        assert each.facts == was[key].facts
        assert each.metadata == {**was[key].metadata, "label": f"new {at}"}
        assert np.allclose(each.vector, was[key].vector, atol=1e-6)


def test_values_of_other_programs_become_json(bring: Importer, tmp_path: Path) -> None:
    from datetime import UTC, date, datetime
    from decimal import Decimal

    file = tmp_path / "rows.parquet"
    table = {
        "uuid": pa.array([bytes([at] * 16) for at in range(ROWS)], pa.binary(16)),
        "vector": lists(pa.float32()),
        "aware": pa.array([datetime(2024, 5, 1, 10, tzinfo=UTC)] * ROWS),
        "naive": pa.array([datetime(2024, 5, 1, 10)] * ROWS),
        "day": pa.array([date(2024, 5, 1)] * ROWS),
        "price": pa.array([Decimal("1.50")] * ROWS),
        "nan": pa.array([float("nan")] * ROWS),
        "box": pa.array([{"x": 1, "tags": ["a"]}] * ROWS),
        "kind": pa.array(["cat"] * ROWS).dictionary_encode(),
    }
    pq.write_table(pa.table(table), file)

    bring(file)

    stored = bring.stored("images")["01010101-0101-0101-0101-010101010101"]
    assert stored.metadata == {
        "aware": "2024-05-01T10:00:00+00:00",
        "naive": "2024-05-01T10:00:00+00:00",
        "day": "2024-05-01",
        "price": 1.5,
        "box": {"x": 1, "tags": ["a"]},
        "kind": "cat",
    }


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("empty.csv", b"", "the table has no header"),
        ("header.csv", b"id,vector\n", "holds no rows"),
        ("twice.csv", b"id,id,vector\n", "'id' twice"),
        ("empty.json", b"[]", "holds no rows"),
        ("number.json", b"3", "no list of objects"),
        ("broken.jsonl", b"{", "line 1: no JSON"),
        ("broken.npy", b"\x93NUMPY", "no NumPy file"),
        ("broken.arrow", b"ARROW1", "no Arrow file"),
        ("unknown.bin", b"what", "no Parquet or Arrow file"),
        ("plain.csv", b"id,name\na,b\n", "no column looks like vectors; there are id, name"),
    ],
)
def test_what_holds_no_vectors_is_refused(
    bring: Importer, tmp_path: Path, name: str, content: bytes, says: str
) -> None:
    (tmp_path / name).write_bytes(content)

    assert bring(tmp_path / name, code=1) is None

    assert says in bring.err
    assert bring.err.count("\n") == 1
    assert list(bring.client.collections.list()) == []


def test_parts_of_columns_can_be_named(bring: Importer, tmp_path: Path) -> None:
    """As in a Hugging Face data set of images and what an encoder made of each."""
    file = tmp_path / "hf.parquet"
    images = [{"bytes": b"x", "path": f"{at}.png"} for at in range(ROWS)]
    table = {"image": images, "embedding": [[row] for row in MATRIX.tolist()], "label": [1] * ROWS}
    pq.write_table(pa.table(table), file)

    bring(file, "--id-column", "image.path")

    stored = bring.stored("images")
    assert stored["3.png"].metadata == {"label": 1}
    assert np.allclose(stored["3.png"].vector, MATRIX[3] / np.linalg.norm(MATRIX[3]), atol=1e-6)
