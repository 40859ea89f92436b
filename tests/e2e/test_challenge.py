"""`lookalike challenge` as it is typed, and its figures against NumPy's."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lookalike_client import Client, Fields
from tests.e2e.challenge_by_numpy import figures
from tests.e2e.conftest import Ran, RunCli

# Parts of photographs: those of one photograph have a label, its upper or lower half a
# sub-label with characters that filters and tables quote.
PHOTOS = ("chelsea.png", "coffee.png", "astronaut.png", "rocket.jpg")
NAMES = ('cat, "tabby"', "coffee's = cup", "naïve\\%_*", "007")
COLUMNS, ROWS = 4, 2


@pytest.fixture(scope="module")
def folder(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("challenge")
    (found / "images").mkdir()
    rows = []
    for photo, label in zip(PHOTOS, NAMES, strict=True):
        with Image.open(photos / photo) as opened:
            picture = opened.convert("RGB")
        width, height = picture.width // COLUMNS, picture.height // ROWS
        for row in range(ROWS):
            for column in range(COLUMNS):
                name = f"{Path(photo).stem}-{row}-{column}.png"
                box = (column * width, row * height, (column + 1) * width, (row + 1) * height)
                picture.crop(box).save(found / "images" / name)
                rows.append((name, label, f"row <{row}>"))
    (found / "images" / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 cut short")
    with (found / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(
            [("file", "label", "sublabel"), *rows, ("broken.jpg", NAMES[0], "row <0>")]
        )
    return found


@pytest.fixture
def ran(cli: RunCli, client: Client, folder: Path, tmp_path: Path) -> Iterator[tuple[Ran, Path]]:
    page = tmp_path / "challenge.html"
    ended = cli(
        *("challenge", "--images", folder / "images", "--labels", folder / "labels.csv"),
        *("--html", page, "--timed", "4", "--threshold-images", "3", "--keep", "--json"),
    )
    assert ended.code == 0, ended.err
    yield ended, page
    client.collections.delete(ended.json["collection"])


def test_the_figures_are_those_of_numpy(
    ran: tuple[Ran, Path], client: Client, folder: Path
) -> None:
    ended, page = ran
    said = ended.json
    items = list(client.list(said["collection"], fields=Fields(vector=True)))
    vectors = np.stack([item.vector for item in items if item.vector is not None])
    expected = figures([item.id for item in items], vectors, folder / "labels.csv")

    assert said["images"] == len(items) == len(PHOTOS) * COLUMNS * ROWS
    assert 0 < expected["filtered_recall_at_10"] <= 1
    assert {key: said[key] for key in expected} == pytest.approx(expected, abs=1e-9)
    assert (said["ann_recall_at_10"], said["filtered_ann_recall_at_10"]) == (1.0, 1.0)
    assert list(said["left_out"].values()) == [["broken.jpg"]]

    assert said["threshold"]["mode"] == "point"  # three images bound no rate
    assert "takes at least 299 images" in said["threshold"]["why_not_bound"]
    image = said["latency_ms"]["by image, same category"]
    assert {"end to end", "embed", "search", "re-rank"} <= image.keys()
    assert image["embed"]["p50"] <= image["end to end"]["p99"]
    text = page.read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>")
    assert "cat, &#34;tabby&#34;" in text
    assert "http" not in text.replace("http://www.w3.org", "")


def test_mistakes_are_one_line(cli: RunCli, folder: Path, tmp_path: Path) -> None:
    table = tmp_path / "labels.csv"
    table.write_text("file,kind\nchelsea-0-0.png,a\n")
    images = ("challenge", "--images", folder / "images", "--labels", table)
    ran = cli(*images)
    assert (ran.code, len(ran.err.splitlines())) == (1, 1)
    assert ran.err.startswith("error: --labels: the table has no column `label`")

    ran = cli(*images, "--label-column", "kind", "--server", "nowhere")
    assert (ran.code, "is no host:port" in ran.err) == (2, True)
    ran = cli(*images, "--label-column", "kind", "--data", tmp_path)
    assert (ran.code, "--data goes with a system that is started" in ran.err) == (2, True)
