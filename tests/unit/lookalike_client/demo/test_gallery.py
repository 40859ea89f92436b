"""The demonstration's pictures and its contact sheet."""

from pathlib import Path

import pytest
from PIL import Image, ImageStat

from lookalike_client.demo.contact_sheet import SheetHit, SheetRow, draw
from lookalike_client.demo.photos import make_gallery, make_query, metadata_of

KINDS = {"original", "recompressed", "resized", "cropped", "mirrored", "recoloured"}


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("skimage", reason="the photographs come with scikit-image")
    return make_gallery(tmp_path_factory.mktemp("gallery"))


def test_every_photograph_has_its_copies(gallery: Path) -> None:
    folders = sorted(gallery.iterdir())

    assert len(folders) >= 15
    for folder in folders:
        assert {path.stem for path in folder.iterdir()} == KINDS | {".complete"}
    with Image.open(gallery / "coffee/original.png") as original:
        size = original.size
    with Image.open(gallery / "coffee/resized.jpg") as resized:
        assert resized.size == (size[0] // 2, size[1] // 2)
    assert metadata_of("coffee/cropped.jpg") == {"photograph": "coffee", "kind": "cropped"}


def test_a_second_run_makes_nothing_anew(gallery: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in gallery.rglob("*.*")}

    make_gallery(gallery)

    assert {path: path.stat().st_mtime_ns for path in gallery.rglob("*.*")} == before


def test_the_sheet_shows_queries_and_hits(gallery: Path, tmp_path: Path) -> None:
    query = make_query(gallery, tmp_path / "queries" / "q.jpg")
    hits = [
        SheetHit(gallery / "coffee/original.png", "coffee/original.png", 0.97),
        SheetHit(gallery / "moon/original.png", "a/" + "long" * 40 + ".png", -0.2),
    ]
    rows = [SheetRow("One", query, "q.jpg", hits), SheetRow("None found", query, "q.jpg", [])]
    sheet = tmp_path / "sheet.png"

    draw(rows, "Title", "subtitle", sheet)

    with Image.open(sheet) as drawn:
        width, height = drawn.size
        assert width > 3 * 168
        assert height > 2 * 168
        # Something of the pictures' colours is in the first row, not a blank page.
        assert max(ImageStat.Stat(drawn.convert("RGB")).stddev) > 20
