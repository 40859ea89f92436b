"""Files that other programs wrote, by `lookalike import`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

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


def embeddings(kind: str) -> Any:
    rows = MATRIX.tolist()
    flat = MATRIX.ravel()
    match kind:
        case "half":
            return pa.array([np.array(row, np.float16) for row in rows], pa.list_(pa.float16()))
        case "float":
            return pa.array(rows, pa.list_(pa.float32()))
        case "double":
            return pa.array(rows, pa.list_(pa.float64()))
        case "large":
            return pa.array(rows, pa.large_list(pa.float32()))
        case "fixed":
            return pa.FixedSizeListArray.from_arrays(pa.array(flat), DIMENSION)
        case "view":
            return pa.array(rows, pa.list_view(pa.float32()))
        case "tensor":
            return pa.FixedShapeTensorArray.from_numpy_ndarray(MATRIX)
        case "text":
            return pa.array([str(row) for row in rows])
        case "numpy":
            return pa.array([str(list(row)) for row in MATRIX])
        case _:
            return pa.array([np.array(row, "<f4").tobytes() for row in rows])


@pytest.mark.parametrize(
    "kind",
    ["half", "float", "double", "large", "fixed", "view", "tensor", "text", "numpy", "bytes"],
)
@pytest.mark.parametrize("form", ["parquet", "arrow", "stream"])
def test_any_list_of_any_float_is_a_vector(
    bring: Importer, tmp_path: Path, kind: str, form: str
) -> None:
    table = pa.table({"id": range(ROWS), "embedding": embeddings(kind), "caption": labels()})
    file = tmp_path / f"items.{'parquet' if form == 'parquet' else 'arrow'}"
    if form == "parquet":
        if kind == "view":
            pytest.skip("Parquet has no list views")
        pq.write_table(table, file)
    else:
        new = pa.ipc.new_file if form == "arrow" else pa.ipc.new_stream
        with new(str(file), table.schema) as writer:
            writer.write_table(table)

    told = bring(file, "-c", "hf")

    assert (told["stored"], told["unchanged"]) == (ROWS, 0)
    stored = bring.stored("hf")
    assert stored["7"].metadata == {"caption": "label 7"}
    unit = MATRIX[7] / np.linalg.norm(MATRIX[7])
    assert np.allclose(stored["7"].vector, unit, atol=2e-3 if kind == "half" else 1e-6)
    assert "ids: column id (guessed)" in bring.err
    assert "vectors: column embedding (guessed), 12 dimensions" in bring.err


def as_csv(file: Path) -> None:
    lines = ["image_id;emb_0;" + ";".join(f"emb_{at}" for at in range(1, DIMENSION)) + ";n;label"]
    lines += [
        f"00{number};{';'.join(map(str, row))};{number};label {number}"
        for number, row in enumerate(MATRIX)
    ]
    file.write_text("\ufeff" + "\n".join(lines), encoding="utf-8")


def as_csv_of_lists(file: Path) -> None:
    lines = ["image_id,vector,n,label"]
    lines += [
        f'00{number},"{row.tolist()}",{number},label {number}' for number, row in enumerate(MATRIX)
    ]
    file.write_text("\r\n".join(lines), encoding="utf-8")


def as_lines(file: Path) -> None:
    rows = [
        {"image_id": f"00{number}", "vec": row.tolist(), "n": number, "label": f"label {number}"}
        for number, row in enumerate(MATRIX)
    ]
    file.write_text("\n".join(map(json.dumps, rows)))


def as_points(file: Path) -> None:
    """As Qdrant's scroll answers."""
    points = [
        {
            "id": f"00{number}",
            "payload": {"n": number, "label": f"label {number}"},
            "vector": {"image": row.tolist()},
        }
        for number, row in enumerate(MATRIX)
    ]
    file.write_text(json.dumps({"result": {"points": points, "next_page_offset": None}}))


def as_columns(file: Path) -> None:
    """As Chroma's `get` returns it."""
    document = {
        "ids": [f"00{number}" for number in range(ROWS)],
        "embeddings": MATRIX.tolist(),
        "metadatas": [{"n": number, "label": f"label {number}"} for number in range(ROWS)],
        "documents": None,
        "included": ["embeddings", "metadatas"],
    }
    file.write_text(json.dumps(document))


def as_milvus(file: Path) -> None:
    table = {
        "pk": [f"00{number}" for number in range(ROWS)],
        "vector": pa.array(MATRIX.tolist(), pa.list_(pa.float32())),
        "$meta": [json.dumps({"n": at, "label": f"label {at}"}) for at in range(ROWS)],
    }
    pq.write_table(pa.table(table), file)


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("a.csv", as_csv),
        ("b.csv", as_csv_of_lists),
        ("c.jsonl", as_lines),
        ("d.json", as_points),
        ("e.json", as_columns),
        ("f.parquet", as_milvus),
    ],
)
def test_text_and_dumps_are_read(bring: Importer, tmp_path: Path, name: str, write: Any) -> None:
    file = tmp_path / name
    write(file)

    assert bring(file)["stored"] == ROWS

    stored = bring.stored("images")
    assert stored["0011"].metadata == {"n": 11, "label": "label 11"}
    assert np.allclose(stored["0011"].vector, MATRIX[11] / np.linalg.norm(MATRIX[11]), atol=1e-6)


def test_a_matrix_takes_its_ids_from_beside_it(bring: Importer, tmp_path: Path) -> None:
    file = tmp_path / "vectors.npy"
    np.save(file, MATRIX.astype(">f8"))
    assert bring(file, code=1) is None
    assert "column looks like ids" in bring.err
    assert bring(file, "--row-ids", "-c", "numbered")["stored"] == ROWS
    assert "30" in bring.stored("numbered")

    np.save(tmp_path / "vectors.ids.npy", np.array(labels()))
    assert bring(file, "-c", "beside")["stored"] == ROWS
    assert "label 3" in bring.stored("beside")

    table = tmp_path / "table.csv"
    table.write_text("file,n\n" + "".join(f"{at}.png,{at}\n" for at in range(ROWS)))
    assert bring(file, "--ids", table, "-c", "named")["stored"] == ROWS
    assert bring.stored("named")["3.png"].metadata == {"n": 3}
    table.write_text("file,n\n0.png,0\n")
    told = bring(file, "--ids", table, "-c", "short", code=1)
    assert (told["stored"], told["failed"]) == (1, ROWS - 1)
