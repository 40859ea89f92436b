"""`lookalike bulk-index` makes the collection that ingestion makes."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from lookalike_client import Client, ImageItem
from lookalike_client.types import MetadataValue
from tests.cluster.comparing import difference
from tests.integration.ingest.system import ROOT, System

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

# Comes with the installation, and takes a tenth of the time of a network.
MODEL = "style:palette"
COUNT = 40


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    system = System(tmp_path_factory.mktemp("system"), model=MODEL)
    try:
        system.start()
        yield system
    finally:
        system.stop()


@pytest.fixture(scope="module")
def images() -> dict[str, bytes]:
    """Encoded pictures of several sizes and formats by id, one of them no picture."""
    made = {f"folder/{n:02d}.{('jpg', 'png')[n % 2]}": _picture(n) for n in range(COUNT)}
    return {**made, "folder/broken.jpg": b"no picture"}


def _picture(number: int) -> bytes:
    random = np.random.default_rng(number)
    blocks = random.integers(0, 256, (6, 5, 3), dtype=np.uint8)
    picture = Image.fromarray(blocks).resize((150 + number, 200), Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    picture.save(buffer, ("JPEG", "PNG")[number % 2])
    return buffer.getvalue()


def _bulk_index(
    uri: Path, work: Path, collection: str, address: str
) -> subprocess.CompletedProcess[str]:
    paths = os.pathsep.join(str(ROOT / part) for part in ("", "protos", "client", "deploy/ray"))
    command = [
        *(sys.executable, "-m", "lookalike_client", "bulk-index", str(uri)),
        *("--collection", collection, "--work", str(work), "--model", MODEL),
        *("--block-images", "16", "--address", address, "--json"),
    ]
    environment = {**os.environ, "PYTHONPATH": paths, "RAY_AUTH_MODE": "disabled"}
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


def test_a_folder_gives_the_items_that_indexing_gives(
    system: System, images: dict[str, bytes], tmp_path: Path
) -> None:
    for name, data in images.items():
        path = tmp_path / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    done = _bulk_index(tmp_path / "images", tmp_path / "work", "bulk", system.search_address)
    with Client(system.search_address) as client:
        client.collections.create("one-by-one")
        _ingest(client, "one-by-one", [ImageItem(id, data) for id, data in images.items()])

        assert done.returncode == 1, done.stderr  # for the file that is no picture
        report = json.loads(done.stdout)
        assert (report["items"], report["failures"]) == (COUNT, 1)
        (failure,) = map(json.loads, Path(report["failures_file"]).read_text().splitlines())
        assert (failure["id"], failure["reason"]) == ("folder/broken.jpg", "IMAGE_UNREADABLE")
        _same(client, "bulk", "one-by-one")

        # Once more into the same work folder: all is there but the publishing.
        again = _bulk_index(tmp_path / "images", tmp_path / "work", "again", system.search_address)
        assert json.loads(again.stdout)["embedded"] == 0, again.stderr
        _same(client, "again", "one-by-one")


def test_parquet_gives_metadata_too(
    system: System, images: dict[str, bytes], tmp_path: Path
) -> None:
    whole = {id: data for id, data in images.items() if "broken" not in id}
    metadata: dict[str, dict[str, MetadataValue]]
    metadata = {id: {"n": n, "tags": ["a", "é"]} for n, id in enumerate(whole)}
    columns = {
        "id": list(whole),
        "image": list(whole.values()),
        "metadata": [json.dumps(metadata[id]) for id in whole],
    }
    file = tmp_path / "images.parquet"
    pq.write_table(pa.table(columns), file, row_group_size=15)
    done = _bulk_index(file, tmp_path / "work", "from-parquet", system.search_address)
    with Client(system.search_address) as client:
        client.collections.create("with-metadata")
        items = [ImageItem(id, data, metadata[id]) for id, data in whole.items()]
        _ingest(client, "with-metadata", items)

        assert done.returncode == 0, done.stderr
        _same(client, "from-parquet", "with-metadata")


def _ingest(client: Client, collection: str, items: list[ImageItem]) -> None:
    accepted = list(client.submit_images(collection, items, job_id=collection))
    assert len(accepted) == len(items)
    assert len(list(client.watch_ingest(collection))) == len(items)


def _same(client: Client, one: str, other: str) -> None:
    found = difference(client, one, other)
    assert found.items == COUNT
    assert (found.only_in_one, found.other_metadata, found.other_facts) == ([], [], [])
    assert found.least_cosine >= 0.9999
