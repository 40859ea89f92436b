"""Searching in a browser: by upload, by click, by keys, with threshold, filters and marks."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.web.conftest import Site, drawing, encoded, show

pytestmark = pytest.mark.web

SIZE = "240 \u00d7 180"


def labels(page: Page) -> list[str]:
    return [each.get_attribute("aria-label") or "" for each in page.locator(".tile .open").all()]


def searched(page: Page) -> None:
    """Wait until the answer is shown."""
    expect(page.locator(".found [role=status]")).to_contain_text(" ms")
    expect(page.locator(".view[aria-busy]")).to_have_count(0)
    # The tiles of a list, which come before, have no scores.
    scored = re.compile(", score ")
    expect(page.locator(".tile .open").first).to_have_attribute("aria-label", scored)


def test_a_click_searches_from_a_picture_and_pictures_are_shown(page: Page, site: Site) -> None:
    show(page, site, "search")
    page.get_by_role("button", name="005.png", exact=True).click()
    searched(page)
    assert "id=005.png" in page.url
    first = labels(page)[0]
    assert not first.startswith("005.png")
    assert float(first.rsplit(" ", 1)[1]) <= 1
    loaded = page.locator(".tile img").first.evaluate(
        "image => image.decode().then(() => image.naturalWidth)"
    )
    assert loaded == 240
    page.go_back()
    page.reload()
    expect(page.locator(".found [role=status]")).to_contain_text("80 items")


def test_an_uploaded_picture_finds_its_like(page: Page, site: Site) -> None:
    show(page, site, "search")
    again = encoded(drawing(9, (200, 150)), "JPEG", quality=85)
    page.set_input_files(
        "input[type=file]", {"name": "<b>x</b>.jpg", "mimeType": "image/jpeg", "buffer": again}
    )
    searched(page)
    assert labels(page)[0].startswith("009.png, score 0.")
    page.set_input_files(
        "input[type=file]", {"name": "x.jpg", "mimeType": "image/jpeg", "buffer": b"no"}
    )
    expect(page.locator("#toasts .bad")).to_be_visible()
    assert labels(page)[0].startswith("009.png")


def test_a_pasted_picture_finds_its_like(page: Page, site: Site) -> None:
    show(page, site, "search")
    expect(page.locator(".tile").first).to_be_visible()
    page.evaluate(
        """bytes => {
            const data = new DataTransfer();
            data.items.add(new File([new Uint8Array(bytes)], "p.png", { type: "image/png" }));
            dispatchEvent(new ClipboardEvent("paste", { clipboardData: data }));
        }""",
        list(encoded(drawing(11))),
    )
    searched(page)
    assert labels(page)[0].startswith("011.png, score 1.000")


def test_the_threshold_acts_at_once_and_asks_nobody(page: Page, site: Site) -> None:
    show(page, site, "search")
    page.get_by_role("button", name="005.png", exact=True).click()
    searched(page)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    scores = [float(each.rsplit(" ", 1)[1]) for each in labels(page)]
    least = scores[3]
    page.locator("#least").fill(str(least))
    expect(page.locator("#least + output, .least output")).to_have_text(f"{least:.3f}")
    shown = [float(each.rsplit(" ", 1)[1]) for each in labels(page)]
    assert 1 <= len(shown) <= 5
    assert min(shown) >= least - 0.0006
    page.locator("#least").fill("1")
    expect(page.locator(".empty")).to_contain_text("move the slider")
    assert not [each for each in asked if "/ui/search" in each]


def test_filters_narrow_what_is_found(page: Page, site: Site) -> None:
    show(page, site, "search")
    page.get_by_role("button", name="Filters").click()
    page.get_by_role("checkbox", name="a 40").check()
    page.get_by_label("n: to").fill("9")
    page.get_by_label("n: to").press("Enter")
    expect(page.locator(".tile")).to_have_count(5)
    expect(page.get_by_role("button", name="Filters · 2")).to_be_visible()
    page.locator("textarea").fill("n < ")
    page.locator("textarea").blur()
    expect(page.locator("#toasts .bad")).to_be_visible()
    page.get_by_role("button", name="Clear").click()
    expect(page.locator(".found [role=status]")).to_contain_text("80 items")


def test_marks_refine_and_can_be_taken_back(page: Page, site: Site) -> None:
    show(page, site, "search")
    page.get_by_role("button", name="005.png", exact=True).click()
    searched(page)
    before = labels(page)
    page.locator(".tile").nth(2).hover()
    page.get_by_role("button", name=f"More like this: {before[2].split(',')[0]}").click()
    expect(page.locator(".chip.positive")).to_have_count(2)
    page.locator(".tile").nth(3).hover()
    page.locator(".tile").nth(3).get_by_role("button", name="Less like this").click()
    expect(page.locator(".chip.negative")).to_have_count(1)
    searched(page)
    page.get_by_role("button", name="Take out").last.click()
    expect(page.locator(".chip.negative")).to_have_count(0)


def test_groups_diversity_and_the_way_to_the_answer(page: Page, site: Site) -> None:
    show(page, site, "search")
    page.get_by_role("button", name="005.png", exact=True).click()
    searched(page)
    page.get_by_role("button", name="Explain").click()
    explained = page.get_by_role("region", name="How this was answered")
    expect(explained).to_contain_text("Candidates")
    expect(explained).to_contain_text("search")
    page.get_by_role("combobox", name="Group by").select_option("kind")
    expect(page.locator(".found [role=status]")).to_contain_text("in 2 groups")
    page.get_by_role("combobox", name="Group by").select_option("")
    page.get_by_role("button", name="Diverse").click()
    searched(page)


def test_pictures_are_compared_side_by_side(page: Page, site: Site) -> None:
    show(page, site, "search")
    for place in (0, 1):
        page.locator(".tile").nth(place).hover()
        page.locator(".tile").nth(place).get_by_role("button", name="Compare").click()
    page.get_by_role("button", name="Compare 2").click()
    dialog = page.get_by_role("dialog", name="Side by side")
    expect(dialog.locator("thead img")).to_have_count(2)
    expect(dialog).to_contain_text(SIZE)
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)


def test_all_by_the_keyboard(page: Page, site: Site) -> None:
    show(page, site, "search")
    expect(page.locator(".tile").first).to_be_visible()
    page.locator(".tile .open[tabindex='0']").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    focused = page.evaluate("document.activeElement.getAttribute('aria-label')")
    assert focused == "001.png"
    page.keyboard.press("d")
    drawer = page.get_by_role("dialog", name="Item")
    expect(drawer).to_contain_text("001.png")
    expect(drawer).to_contain_text(SIZE)
    page.keyboard.press("Escape")
    expect(drawer).to_have_count(0)
    page.keyboard.press("Enter")
    searched(page)
    page.locator(".tile .open[tabindex='0']").focus()
    page.keyboard.press("+")
    expect(page.locator(".chip.positive")).to_have_count(2)
    page.keyboard.press("Escape")
    expect(page.locator(".chip")).to_have_count(0)
    page.keyboard.press("e")
    expect(page.get_by_role("button", name="Explain")).to_have_attribute("aria-pressed", "true")


def test_many_results_keep_the_page_small(page: Page, site: Site) -> None:
    show(page, site, "search")
    page.get_by_role("button", name="005.png", exact=True).click()
    searched(page)
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    expect(page.locator(".found [role=status]")).to_contain_text("79 results")
    most = page.evaluate(
        """async () => {
            const { Grid } = await import("/static/js/grid.js");
            const place = document.createElement("div");
            document.getElementById("main").append(place);
            const grid = new Grid(place, "pictures", { open() {} });
            const hit = (_, n) => ({ id: `${n}`, score: 1 - n / 1e4, width: 3 + n % 5, height: 4 });
            grid.set(Array.from({ length: 10000 }, hit));
            let most = 0;
            for (let at = 0; at < 40; at++) {
                scrollTo(0, (document.body.scrollHeight / 40) * at);
                grid.draw();
                most = Math.max(most, place.querySelectorAll("li").length);
            }
            const last = grid.rows.at(-1).tiles.at(-1).index;
            grid.close();
            place.remove();
            return [most, last];
        }"""
    )
    assert 0 < most[0] < 150
    assert most[1] == 9_999
