"""A review of duplicates in a browser: decide, undo, come back, and let go at the end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from lookalike_client import Client
from tests.web.conftest import Site, fill_copies, show

pytestmark = pytest.mark.web

GROUPS = 6


@pytest.fixture
def copies(site: Site) -> Iterator[str]:
    """A collection of six pictures with two copies of each, made for one test."""
    with Client(site.address) as client:
        fill_copies(client, "copies")
        yield "copies"
        client.collections.delete("copies")


def begin(page: Page, site: Site, collection: str) -> None:
    show(page, site, "review", collection)
    page.get_by_role("button", name="Look for duplicates").click()
    expect(page.locator(".rail")).to_contain_text(f"Group 1 of {GROUPS}", timeout=60_000)


def test_a_whole_review_by_the_keyboard(page: Page, site: Site, copies: str) -> None:
    begin(page, site, copies)
    rail = page.locator(".rail")
    expect(page.locator(".side.keep header")).to_contain_text("large.png")
    expect(page.locator(".side.keep header")).to_contain_text("most pixels")
    for mode in ("2", "3", "4", "1"):
        page.keyboard.press(mode)
    expect(page.locator(".pair .sight img")).to_have_count(2)

    page.keyboard.press("d")
    expect(page.locator(".member .tag", has_text="duplicate")).to_have_count(1)
    page.keyboard.press("n")
    expect(rail).to_contain_text("Group 2 of 6")
    expect(rail).to_contain_text("1 decided")
    page.keyboard.press("k")  # the copy stays, and what was kept is its duplicate
    expect(page.locator(".side.keep header")).not_to_contain_text("large.png")
    expect(page.locator(".side.keep header")).to_contain_text("you chose it")
    page.keyboard.press("u")
    expect(page.locator(".side.keep header")).to_contain_text("large.png")
    page.keyboard.press("u")
    expect(rail).to_contain_text("Group 1 of 6")
    expect(rail).to_contain_text("0 decided")
    page.keyboard.press("d")
    expect(rail).to_contain_text("1 decided")
    page.keyboard.press("s")
    page.keyboard.press("s")
    expect(rail).to_contain_text("Group 3 of 6")

    # Decisions are the service's: they are there after a reload, and so is the way back.
    page.reload()
    expect(rail).to_contain_text("Group 2 of 6")
    expect(rail).to_contain_text("1 decided")
    page.keyboard.press("u")
    expect(rail).to_contain_text("0 decided")
    page.keyboard.press("d")
    expect(rail).to_contain_text("1 decided")
    with Client(site.address) as client:
        decided = client.analysis.duplicate_decisions(copies)
    assert len(decided) == 2

    # A new search keeps to them.
    page.get_by_role("button", name="New search").click()
    page.get_by_role("button", name="Look for duplicates").click()
    expect(rail).to_contain_text("1 decided", timeout=60_000)


def test_accepting_many_and_letting_go(page: Page, site: Site, copies: str) -> None:
    begin(page, site, copies)
    page.keyboard.press("n")
    page.get_by_role("button", name="Accept above").click()
    dialog = page.get_by_role("dialog", name="Accept above a score")
    dialog.get_by_role("checkbox", name="copies").check()
    expect(dialog).to_contain_text("11 open pairs")
    dialog.get_by_role("button", name="Accept 11").click()
    last = page.get_by_role("dialog", name="11 items would go")
    expect(last.locator("tbody tr")).to_have_count(11)
    last.get_by_role("button", name="Not yet").click()
    page.keyboard.press("u")
    expect(page.locator(".rail")).to_contain_text("0 decided")
    with Client(site.address) as client:
        assert client.count(copies) == 18  # nothing went

    page.get_by_role("button", name="Accept above").click()
    dialog.get_by_role("checkbox", name="copies").check()
    dialog.get_by_role("button", name="Accept 11").click()
    with page.expect_download() as download:
        last.get_by_role("link", name="Save the list").click()
    listed = set(download.value.path().read_text().split())
    assert len(listed) == 11
    last.get_by_role("button", name="Delete 11 items from the index").click()
    expect(page.locator("#toasts")).to_contain_text("11 items deleted")
    with Client(site.address) as client:
        left = {item.id for item in client.list(copies)}
    assert len(left) == 7
    assert not left & listed
    assert {f"{n}/large.png" for n in range(100, 106)} <= left
    page.get_by_role("button", name="Finish").click()
    expect(page.get_by_role("dialog", name="Nothing would go")).to_be_visible()


def test_what_would_go_has_to_be_what_was_shown(page: Page, site: Site, copies: str) -> None:
    begin(page, site, copies)
    page.keyboard.press("a")
    expect(page.locator(".rail")).to_contain_text("1 decided")
    told = page.evaluate(
        """async () => {
            const { get, post } = await import("/static/js/api.js");
            const { task } = await get("review", { collection: "copies" });
            const shown = await get("review/leaving", { review: task });
            const kept = (await get("review/groups", { review: task })).groups[0].members[0].id;
            const decisions = [{ id: shown.items[0].id, verdict: "keep" }];
            await post("review/decide", { review: task, decisions });
            try { await post("review/delete", { review: task, digest: shown.digest }); }
            catch (error) { return [shown.count, kept, error.status, error.field]; }
        }"""
    )
    assert told == [2, "100/large.png", 400, "digest"]
    with Client(site.address) as client:
        assert client.count(copies) == 18
