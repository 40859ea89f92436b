"""Uploading, what failed, and the reports on quality, in a browser."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from lookalike.wire.errors import NotFound
from lookalike_client import Client
from tests.web.conftest import Site, drawing, encoded, show

pytestmark = pytest.mark.web


@pytest.fixture
def new(site: Site) -> Iterator[str]:
    """The name of a collection that is not there yet."""
    yield "uploaded"
    with Client(site.address) as client:
        with suppress(NotFound):
            client.collections.delete("uploaded")


def test_a_folder_is_uploaded_and_a_file_that_is_no_picture_is_told(
    page: Page, site: Site, new: str, tmp_path: Path
) -> None:
    folder = tmp_path / "holiday"
    (folder / "day 1").mkdir(parents=True)
    for n in range(8):
        (folder / "day 1" / f"{n}.png").write_bytes(encoded(drawing(200 + n)))
    (folder / "<i>notes<i>.png").write_bytes(b"no picture")
    (folder / ".hidden").write_bytes(b"passed over")
    show(page, site, "collections")
    page.get_by_label("To the collection").fill(new)
    page.set_input_files("input[aria-label='Folder to upload']", folder)
    upload = page.get_by_role("region", name="Upload", exact=True)
    expect(upload).to_contain_text("8 pictures stored, 1 failed", timeout=60_000)
    expect(upload.get_by_role("progressbar")).to_have_attribute("value", "9")
    expect(upload.get_by_role("region", name="Files that failed")).to_contain_text(
        "holiday/<i>notes<i>.png"
    )
    failures = page.get_by_role("region", name="Failures").first
    expect(failures).to_contain_text("holiday/<i>notes<i>.png")
    expect(failures).to_contain_text("image unreadable")
    with Client(site.address) as client:
        assert client.count(new) == 8
        made = client.collections.get(new)
        ids = {item.id for item in client.list(new)}
    assert made.thumbnail_side_px == 256
    assert "holiday/day 1/3.png" in ids
    failures.get_by_role("button", name="Try all again").click()
    expect(page.locator("#toasts")).to_contain_text("1 item queued again")
    card = page.get_by_role("region", name=new, exact=True)
    expect(card).to_contain_text("8 items")
    card.get_by_role("checkbox", name="Keep a small picture").uncheck()
    expect(page.locator("#toasts")).to_contain_text("No more small pictures")
    card.get_by_role("button", name="Look at it").click()
    expect(page.locator(".tile")).to_have_count(8)


def test_the_queue_and_its_workers_are_shown(page: Page, site: Site) -> None:
    show(page, site, "collections")
    queue = page.get_by_role("region", name="Ingestion")
    expect(queue).to_contain_text("waiting")
    expect(queue.locator("tbody tr")).to_have_count(1)


def test_quality_is_measured_and_reported(page: Page, site: Site) -> None:
    show(page, site, "quality")
    recall = page.get_by_role("region", name="Recall")
    recall.get_by_role("button", name="Measure").click()
    expect(recall).to_contain_text("Last: 100.00 %", timeout=60_000)
    recall.get_by_role("button", name="Measure").click()
    expect(recall.locator("circle")).to_have_count(2, timeout=60_000)
    page.get_by_role("region", name="Evaluation").get_by_role("button", name="Evaluate").click()
    report = page.frame_locator("iframe")
    expect(report.locator("h1")).to_contain_text("Evaluation of pictures", timeout=60_000)
    expect(report.locator("svg").first).to_be_visible()
    page.get_by_role("region", name="Drift").get_by_role("button", name="Show").click()
    expect(report.locator("h1")).to_contain_text("Queries of pictures")
    chart = page.get_by_role("region", name="Map")
    chart.get_by_label("Coloured by").select_option("kind")
    chart.get_by_role("button", name="Draw").click()
    expect(chart.locator(".legend li")).to_have_count(2)
    calibration = page.get_by_role("region", name="Calibration")
    calibration.get_by_role("button", name="Calibrate").click()
    expect(page.locator("#toasts .bad")).to_contain_text("nothing was decided in a review")


def test_a_job_with_no_such_name_is_refused_at_once(page: Page, site: Site) -> None:
    told = page.evaluate(
        """async () => {
            const { follow } = await import("/static/js/api.js");
            try { await follow("outcomes", { job: "a b" }, () => {}); }
            catch (error) { return [error.status, error.reason, error.field]; }
        }"""
    )
    assert told == [400, "INVALID_FIELD", "job_id"]
