"""Snapshots and Parquet files through the SDK and the command line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lookalike.wire.errors import InvalidField, LookalikeError, Reason
from lookalike_client import (
    AsyncClient,
    Client,
    DuplicateSettings,
    Fields,
    IndexSettings,
    VectorItem,
    parquet,
    tables,
)
from lookalike_client.cli.main import run
from lookalike_client.tables.binding import DIMENSION as DIMENSION_KEY
from lookalike_client.tables.binding import FINGERPRINT, FORMAT, SETTINGS
from lookalike_client.types import ImageFacts, Item, Metadata, MutationResult, MutationStatus
from tests.integration.search_server import running

pq = pytest.importorskip("pyarrow.parquet", reason="the extra parquet is not installed")
pa = pytest.importorskip("pyarrow", reason="the extra parquet is not installed")

DIMENSION = 24
EVERYTHING = Fields(metadata=True, facts=True, thumbnail=True, vector=True)


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running(tmp_path_factory.mktemp("data")) as server:
        at = f"127.0.0.1:{server.port}"
        with Client(at) as client:
            client.collections.create("photos", model=None, dimension=DIMENSION)
            results = list(client.upsert_vectors("photos", map(an_item, range(1_000))))
            assert {each.status for each in results} == {MutationStatus.APPLIED}
        yield at


@pytest.fixture
def client(address: str) -> Iterator[Client]:
    with Client(address) as client:
        yield client


def test_parquet_round_trip_is_identical(client: Client, tmp_path: Path) -> None:
    file = tmp_path / "photos.parquet"
    assert parquet.export_collection(client, "photos", file) == 1_000
    assert [each.name for each in tmp_path.iterdir()] == ["photos.parquet"]
    results = list(bring_in(client, file, "again"))

    assert {each.status for each in results} == {MutationStatus.APPLIED}
    was, now = items_of(client, "photos"), items_of(client, "again")
    assert now == was
    assert len(now) == 1_000
    made = client.collections.get("again")
    assert (made.dimension, made.model_fingerprint) == (DIMENSION, "")
    schema = pq.read_schema(file)
    assert schema.metadata[DIMENSION_KEY] == b"24"
    assert schema.metadata[FINGERPRINT] == b""
    assert [field.name for field in schema] == [
        "id",
        "vector",
        "metadata",
        "facts",
        "version",
        "further_vectors",
    ]


def test_settings_go_along_with_the_items(client: Client, tmp_path: Path) -> None:
    file = tmp_path / "made.parquet"
    index = IndexSettings("lean", "i4", 12, 77, 99, 8)
    rejecting = DuplicateSettings("reject", 0.5)
    client.collections.create("made", model=None, dimension=DIMENSION, index=index)
    stored = list(client.upsert_vectors("made", map(an_item, range(300))))
    assert {each.status for each in stored} == {MutationStatus.APPLIED}
    client.collections.update("made", duplicates=rejecting, thumbnail_side_px=64)
    parquet.export_collection(client, "made", file)
    # With the policy from the start some would be refused: their neighbours are near.
    results = list(bring_in(client, file, "made-again"))
    assert {each.status for each in results} == {MutationStatus.APPLIED}
    assert items_of(client, "made-again") == items_of(client, "made")
    made, again = client.collections.get("made"), client.collections.get("made-again")
    assert made.index == index
    assert (again.index, again.duplicates) == (index, rejecting)
    assert (again.index, again.duplicates) == (made.index, made.duplicates)
    assert again.thumbnail_side_px == made.thumbnail_side_px == 64

    list(bring_in(client, file, "faster", index=IndexSettings("fast")))
    assert client.collections.get("faster").index.preset == "fast"
    for settings in (b"{", b'{"index": {"preset": "fast", "depth": 1}, "duplicates": {}}', b"[]"):
        other = tmp_path / "other.parquet"
        table = pq.read_table(file)
        told = {**table.schema.metadata, SETTINGS: settings}
        pq.write_table(table.replace_schema_metadata(told), other)
        with pytest.raises(InvalidField, match="settings"):
            list(bring_in(client, other, "never"))
    without = {key: value for key, value in told.items() if key != SETTINGS}
    pq.write_table(table.replace_schema_metadata(without), other)
    list(bring_in(client, other, "plain"))
    assert client.collections.get("plain").index.preset == "balanced"


def test_another_binding_is_refused(client: Client, tmp_path: Path) -> None:
    file = tmp_path / "photos.parquet"
    parquet.export_collection(client, "photos", file)
    client.collections.create("narrow", model=None, dimension=8)
    with pytest.raises(LookalikeError) as caught:
        list(bring_in(client, file, "narrow"))
    assert caught.value.reason is Reason.DIMENSION_MISMATCH
    other = tmp_path / "other.parquet"
    table = pq.read_table(file)
    told = {**table.schema.metadata, FINGERPRINT: b"another-model"}
    pq.write_table(table.replace_schema_metadata(told), other)
    with pytest.raises(LookalikeError) as caught:
        list(bring_in(client, other, "photos"))
    assert caught.value.reason is Reason.MODEL_MISMATCH
    assert client.count("narrow") == 0


def test_a_file_that_cannot_be_read_is_refused(client: Client, tmp_path: Path) -> None:
    file = tmp_path / "photos.parquet"
    parquet.export_collection(client, "photos", file)
    foreign, later, cut = (tmp_path / f"{name}.parquet" for name in ("foreign", "later", "cut"))
    pq.write_table(pa.table({"id": ["a"]}), foreign)
    table = pq.read_table(file)
    told = {**table.schema.metadata, FORMAT: b"2"}
    pq.write_table(table.replace_schema_metadata(told), later)
    cut.write_bytes(file.read_bytes()[:-100])
    (tmp_path / "empty").touch()
    for path, field in (
        (foreign, "vector-column"),
        (later, "file"),
        (cut, "file"),
        (tmp_path / "empty", "file"),
    ):
        with pytest.raises(InvalidField) as caught:
            list(bring_in(client, path, "never"))
        assert caught.value.field == field
    assert "never" not in {each.name for each in client.collections.list()}


def test_snapshots_by_command(
    address: str, client: Client, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def command(*arguments: str) -> Any:
        assert run(["--address", address, "--json", *arguments]) == 0
        return json.loads(capsys.readouterr().out)

    archive = tmp_path / "photos.tar"
    taken = command("snapshots", "create", "-c", "photos")
    assert taken["items"] == 1_000
    got = command("snapshots", "download", taken["snapshot_id"], str(archive))
    assert got["size_bytes"] == taken["size_bytes"] == archive.stat().st_size
    uploaded = command("snapshots", "upload", str(archive))
    listed = command("snapshots", "list", "-c", "photos")["snapshots"]
    assert {each["snapshot_id"] for each in listed} >= {
        taken["snapshot_id"],
        uploaded["snapshot_id"],
    }
    client.collections.set_alias("live", "photos")
    restored = command("snapshots", "restore", uploaded["snapshot_id"], "by-command")
    assert (restored["items"], restored["aliases_left"]) == (1_000, ["live"])
    words = ("--address", address, "snapshots", "restore", uploaded["snapshot_id"])
    assert run([*words, "-c", "once-more"]) == 0
    said = capsys.readouterr().out
    assert "these aliases still lead to photos: live" in said
    client.collections.delete_alias("live")
    assert run([*words, "-c", "and-again"]) == 0
    assert "no alias came with it" in capsys.readouterr().out
    assert items_of(client, "by-command") == items_of(client, "photos")
    for each in listed:
        command("snapshots", "delete", each["snapshot_id"], "--yes")
    assert command("snapshots")["snapshots"] == []
    archive.write_bytes(archive.read_bytes()[:-1])
    assert run(["--address", address, "snapshots", "upload", str(archive)]) == 1
    assert "cut short" in capsys.readouterr().err


def test_parquet_by_command(
    address: str, client: Client, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = str(tmp_path / "photos.parquet")
    assert run(["--address", address, "export", "-c", "photos", file]) == 0
    assert run(["--address", address, "import", "-c", "imported", file]) == 0
    out = capsys.readouterr().out
    assert "wrote 1,000 items" in out
    assert "stored 1,000 items in imported" in out
    assert items_of(client, "imported") == items_of(client, "photos")


async def test_snapshots_on_an_event_loop(address: str, tmp_path: Path) -> None:
    async with AsyncClient(address) as client:
        taken = await client.snapshots.create("photos")
        archive = tmp_path / "photos.tar"
        assert await client.snapshots.download(taken.snapshot_id, archive) == taken.size_bytes
        uploaded = await client.snapshots.upload(archive)
        assert uploaded == replace(taken, already_there=True)
        restored = await client.snapshots.restore(uploaded.snapshot_id, "on-a-loop")
        assert restored.items == 1_000
        listed = [each async for each in client.snapshots.list("photos")]
        assert [each.snapshot_id for each in listed] == [taken.snapshot_id]
        await client.snapshots.delete(taken.snapshot_id)
        assert [each async for each in client.snapshots.list("photos")] == []


def bring_in(
    client: Client, file: Path, collection: str, index: IndexSettings | None = None
) -> Iterator[MutationResult]:
    plan = tables.plan_import(file)
    yield from tables.TableImport(client, plan, collection, index=index).results()


def items_of(client: Client, collection: str) -> dict[str, tuple[Any, ...]]:
    """What each item is, but for its version and time."""
    found: dict[str, tuple[Any, ...]] = {}
    for item in client.list(collection, fields=EVERYTHING, page_size=500):
        found[item.id] = (bytes_of(item), item.metadata, item.facts)
    return found


def bytes_of(item: Item) -> bytes:
    assert item.vector is not None
    return b"".join(each.tobytes() for each in (item.vector, *item.further_vectors))


def an_item(number: int) -> VectorItem:
    vector = np.random.default_rng([6, number]).normal(size=DIMENSION)
    facts = None
    if number % 3:
        facts = ImageFacts(
            width_px=number,
            height_px=7,
            size_bytes=2**40 + number,
            sha256=f"{number:064x}",
            perceptual_hash=f"{2**63 + number:016x}",
            sharpness=float(np.float32(number / 7)),
            format="PNG",
            thumbnail_webp=bytes([number % 256]) * (number % 20),
            truncated=number % 2 == 0,
            blank=number % 5 == 0,
            pixel_sha256=f"{number + 1:064x}",
            grey_webp=bytes([number % 251]) * (number % 30),
        )
    metadata: Metadata = {
        "n": number,
        "ratio": number / 7,
        "text": "ü\n\"'\u2028",
        "list": [1, "a", None],
    }
    further = np.random.default_rng([7, number]).normal(size=(number % 3 // 2 * 2, DIMENSION))
    return VectorItem(f"id/{number}", vector, metadata, facts=facts, further_vectors=list(further))
