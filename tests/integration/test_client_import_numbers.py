"""Numbers that float64 does not hold: told, never changed on the way in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from lookalike_client.testing import FakeServer
from tests.integration.importing import Importer, importing

LARGE = 2**53 + 1
VECTOR = "0.12345678901234567;0.2;0.3;0.4;0.5;0.6;0.7;0.8"
COLUMNS = "e0;e1;e2;e3;e4;e5;e6;e7"
REFUSED = "cannot be kept exactly as a number; store it as text"


@pytest.fixture
def bring(capsys: pytest.CaptureFixture[str]) -> Iterator[Importer]:
    with FakeServer() as server, importing(server.address, capsys) as importer:
        yield importer


def test_a_column_of_a_csv_file_with_large_numbers_is_text(bring: Importer, tmp_path: Path) -> None:
    rows = [f"a;{VECTOR};7;12;1e20", f"b;{VECTOR};{LARGE};13;0.5", f"c;{VECTOR};;14;3"]
    (tmp_path / "one.csv").write_text("\n".join([f"id;{COLUMNS};code;n;x", *rows]))
    (tmp_path / "two.csv").write_text(f"id;{COLUMNS};code;n;x\nd;{VECTOR};8;15;4\n")

    bring(tmp_path, "-c", "codes")

    stored = {each.id: each.metadata for each in bring.stored("codes").values()}
    assert {key: each.get("code") for key, each in stored.items()} == {
        "a": "7",
        "b": str(LARGE),
        "c": None,
        "d": "8",
    }
    assert {each["n"] for each in stored.values()} == {12, 13, 14, 15}
    assert stored["a"]["x"] == 1e20


def test_typed_files_say_which_row_and_key(bring: Importer, tmp_path: Path) -> None:
    vector = [0.1] * 8
    rows = [
        {"id": "good", "vector": vector, "n": 2**53},
        {"id": "large", "vector": vector, "n": LARGE},
        {"id": "inner", "vector": vector, "o": {"n": -LARGE}},
        {"id": "text", "vector": vector, "metadata": json.dumps({"n": LARGE})},
        {"id": "infinite", "vector": vector, "n": float("inf")},
        {"id": 1e300, "vector": vector},
    ]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))

    failures = tmp_path / "failures.txt"
    bring(tmp_path / "rows.jsonl", "-c", "typed", "--failures", failures, code=1)

    assert bring.stored("typed").keys() == {"good"}
    listed = map(json.loads, failures.read_text().splitlines())
    messages = {each["id"]: each["message"] for each in listed}
    assert messages["large"] == f'rows.jsonl, line 2: metadata "n": {LARGE} {REFUSED}'
    assert f'metadata "o.n": -{LARGE} {REFUSED}' in messages["inner"]
    assert f'metadata "metadata.n": {LARGE} {REFUSED}' in messages["text"]
    assert 'metadata "n": infinity' in messages["infinite"]
    assert "rounded number: store ids as text" in messages[None]


def test_parquet_says_the_same(bring: Importer, tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow", reason="the extra parquet is not installed")
    pq = pytest.importorskip("pyarrow.parquet", reason="the extra parquet is not installed")
    table = pa.table(
        {
            "id": ["a", "b", "c"],
            "vector": [[0.1] * 8] * 3,
            "n": pa.array([1, LARGE, 3], pa.uint64()),
            "d": pa.array(
                [Decimal("0.10"), Decimal("1.00"), Decimal("1234567890123.1234567")],
                pa.decimal128(30, 7),
            ),
        }
    )
    pq.write_table(table, tmp_path / "t.parquet")

    told = bring(tmp_path / "t.parquet", "-c", "typed", code=1)

    assert {key: each.metadata for key, each in bring.stored("typed").items()} == {
        "a": {"n": 1, "d": 0.1}
    }
    messages = {each["id"]: each["message"] for each in told["first_failures"]}
    assert messages["b"].endswith(f'metadata "n": {LARGE} {REFUSED}')
    assert messages["c"].endswith(f'metadata "d": 1234567890123.1234567 {REFUSED}')
