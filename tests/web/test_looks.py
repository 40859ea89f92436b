"""Hostile names, light and dark, phones, and who cannot see the page; screenshots of each view."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect

from lookalike_client import Client
from tests.web.conftest import HOSTILE, METADATA, Site, fill_copies, show

pytestmark = pytest.mark.web

VIEWS = ("search", "found", "item", "review", "going", "collections", "quality", "api")


@pytest.fixture(scope="module")
def copies(site: Site) -> Iterator[str]:
    with Client(site.address) as client:
        fill_copies(client, "looks")
        yield "looks"
        client.collections.delete("looks")


def go(page: Page, site: Site, view: str) -> None:
    """Bring a view, with something in it."""
    match view:
        case "search":
            show(page, site, "search")
            page.locator(".tile img").first.wait_for()
        case "found":
            show(page, site, "search")
            page.locator(".tile .open").nth(4).click()
            expect(page.locator(".found [role=status]")).to_contain_text(" ms")
            page.get_by_role("button", name="Filters").click()
            page.get_by_role("button", name="Explain").click()
            expect(page.locator(".explain")).to_contain_text("Candidates")
        case "item":
            show(page, site, "search")
            page.locator(".tile .open").first.focus()
            page.keyboard.press("d")
            page.get_by_role("dialog").wait_for()
        case "review" | "going":
            show(page, site, "review", "looks")
            start = page.get_by_role("button", name="Look for duplicates")
            start.or_(page.locator(".rail")).first.wait_for()
            if start.count():
                start.click()
            page.locator(".sight img").first.wait_for(timeout=60_000)
            if view == "going":
                page.get_by_role("button", name="All duplicates").click()
                expect(page.locator(".rail")).not_to_contain_text(" 0 decided")
                page.get_by_role("button", name="Finish").click()
                page.get_by_role("dialog").wait_for()
        case "collections":
            show(page, site, "collections")
            page.locator("section[aria-labelledby=queue] table").wait_for()
        case "quality":
            show(page, site, "quality")
            page.get_by_role("button", name="Draw").click()
            page.locator(".map canvas").wait_for()
        case "api":
            page.goto(f"{site.origin}/api")
            page.locator(".call").first.wait_for()
    page.wait_for_timeout(400)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_each_view_can_be_read_and_used_by_all(
    page: Page, site: Site, copies: str, scheme: str, shots: Path | None
) -> None:
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    for view in VIEWS:
        go(page, site, view)
        if shots:
            page.screenshot(path=shots / f"{view}-{scheme}.png")
        found = Axe().run(page).response["violations"]
        grave = [
            (each["id"], each["help"], [node["html"][:160] for node in each["nodes"][:4]])
            for each in found
            if each["impact"] in ("serious", "critical")
        ]
        assert not grave, view
        if page.get_by_role("dialog").count():
            page.keyboard.press("Escape")


def test_each_view_has_room_on_a_phone(
    chromium: Browser, site: Site, copies: str, shots: Path | None
) -> None:
    phone = chromium.new_context(
        viewport={"width": 390, "height": 780},
        is_mobile=True,
        has_touch=True,
        device_scale_factor=2,
    )
    page = phone.new_page()
    page.goto(site.link)
    for view in ("search", "found", "item", "review", "collections", "quality", "api"):
        go(page, site, view)
        if shots:
            page.screenshot(path=shots / f"{view}-phone.png")
        wide = page.evaluate(
            """() => {
                if (document.documentElement.scrollWidth <= 391) return [];
                const all = [...document.querySelectorAll("main *")];
                const out = (each) => each.getBoundingClientRect().right > 391;
                return all.filter((each) => out(each) && !each.closest(".scroll"))
                    .map((each) => each.outerHTML.slice(0, 120)).concat("the page");
            }"""
        )
        assert not wide, view
        if page.get_by_role("dialog").count():
            page.keyboard.press("Escape")
    phone.close()


def test_the_theme_is_kept(page: Page, site: Site) -> None:
    show(page, site, "search")
    paper = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(paper)
    page.get_by_role("button", name="Theme: auto").click()
    page.get_by_role("button", name="Theme: light").click()
    dark = page.evaluate(paper)
    assert dark != light
    page.reload()
    expect(page.get_by_role("button", name="Theme: dark")).to_be_visible()
    assert page.evaluate(paper) == dark
    page.get_by_role("button", name="Theme: dark").click()


def test_names_are_text_wherever_they_are_shown(page: Page, site: Site) -> None:
    show(page, site, "search", "hostile")
    expect(page.locator(".tile")).to_have_count(len(HOSTILE))
    page.get_by_role("button", name="Filters").click()
    expect(page.locator(".filters")).to_contain_text("<script>window.hit=1</script>")
    for place in range(len(HOSTILE)):
        page.locator(".tile .open").nth(place).focus()
        page.keyboard.press("d")
        drawer = page.get_by_role("dialog")
        expect(drawer).to_contain_text("<b onmouseover=window.hit=1>key</b>")
        shown = drawer.locator("h3 bdi").first.inner_text()
        assert not set(shown) & set("\u202e\u200f")
        assert any(
            shown
            == name.replace("\u202e", "\u27e8U+202E\u27e9").replace("\u200f", "\u27e8U+200F\u27e9")
            for name in HOSTILE
        )
        drawer.get_by_role("button", name="Search from it").click()
        expect(page.locator(".found [role=status]")).to_contain_text(" ms")
        show(page, site, "search", "hostile")
    for place in (0, 1):
        page.locator(".tile").nth(place).hover()
        page.locator(".tile").nth(place).get_by_role("button", name="Compare").click()
    page.get_by_role("button", name="Compare 2").click()
    expect(page.get_by_role("dialog")).to_contain_text("<script>")
    page.keyboard.press("Escape")
    show(page, site, "review", "hostile")
    page.get_by_role("button", name="Look for duplicates").click()
    expect(page.locator(".rail")).to_contain_text("Group 1 of 1", timeout=60_000)
    expect(page.locator(".side.keep header bdi")).not_to_be_empty()
    page.keyboard.press("a")
    expect(page.get_by_role("dialog")).to_contain_text("would go")
    page.keyboard.press("Escape")
    show(page, site, "quality", "hostile")
    page.get_by_role("button", name="Draw").click()
    page.locator(".map canvas").wait_for()
    assert page.evaluate("window.hit") is None
    assert page.locator("main script, main b[onmouseover], main svg[onload]").count() == 0
    assert METADATA


def test_no_script_runs_that_is_not_the_pages_own(page: Page, site: Site) -> None:
    show(page, site, "search")
    refused = page.evaluate(
        """() => {
            const script = document.createElement("script");
            try { script.text = "window.hit = 1"; } catch { return "refused"; }
            document.body.append(script);
            return window.hit === undefined ? "refused" : "ran";
        }"""
    )
    assert refused == "refused"
    opened = page.evaluate("fetch('https://example.org/').then(() => 'answered', () => 'refused')")
    assert opened == "refused"


def test_a_page_of_another_site_gets_nothing(
    context: BrowserContext, site: Site, page: Page
) -> None:
    show(page, site, "search")  # the cookie is there
    stranger = context.new_page()
    stranger.route(
        "http://evil.test/",
        lambda route: route.fulfill(body="<h1>x</h1>", content_type="text/html"),
    )
    stranger.goto("http://evil.test/")
    told = stranger.evaluate(
        """async origin => {
            const send = { method: "POST", mode: "no-cors", credentials: "include", body: "{}" };
            const seen = [];
            for (const options of [{}, send, { credentials: "include" }]) {
                const asked = fetch(origin + "/ui/session", options);
                seen.push(await asked.then((answer) => answer.status, () => "refused"));
            }
            return seen;
        }""",
        site.origin,
    )
    assert told == ["refused", "refused", "refused"]
    frame = stranger.evaluate(
        """origin => new Promise((resolve) => {
            const frame = document.createElement("iframe");
            frame.src = origin + "/";
            frame.onload = () => resolve(frame.contentDocument ? "read" : "closed");
            document.body.append(frame);
        })""",
        site.origin,
    )
    assert frame == "closed"
    stranger.close()
