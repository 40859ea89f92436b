"""A whole system with its page, and a Chromium to look at it."""

from __future__ import annotations

import io
import os
import random
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image, ImageDraw
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from lookalike_client import Client, ImageItem
from lookalike_client.supervisor.launch import RunningSystem
from tests.e2e.conftest import UP_OPTIONS

_ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
# What the browser itself says of answers that are refusals, and of what a test has tried.
EXPECTED = ("Failed to load resource", "Content Security Policy", "CORS policy", "TrustedScript",
            "Refused to ")  # fmt: skip
HOSTILE = (
    "<img src=x onerror=window.hit=1>.png",
    "<script>window.hit=1</script>.png",
    "\"><svg onload=window.hit=1>'.png",
    "\u202egnp.exe\u200f.png",
    "../../../etc/passwd",
    "javascript:window.hit=1//",
    "${window.hit=1}{{window.hit=1}}%3Cscript%3E",
)
METADATA = {"<b onmouseover=window.hit=1>key</b>": "<script>window.hit=1</script>\u202ex"}


@dataclass(frozen=True)
class Site:
    """Where the page is, and the service behind it."""

    link: str
    address: str

    @property
    def origin(self) -> str:
        return self.link.split("/?")[0]


def drawing(seed: int, size: tuple[int, int] = (240, 180)) -> Image.Image:
    """A picture that is like itself in other sizes, and like no other seed's."""
    chance = random.Random(seed)

    def colour() -> tuple[int, int, int]:
        return chance.randrange(256), chance.randrange(256), chance.randrange(256)

    picture = Image.new("RGB", (240, 180), colour())
    draw = ImageDraw.Draw(picture)
    for _ in range(14):
        x, y = chance.randrange(220), chance.randrange(160)
        box = (x, y, x + chance.randrange(15, 90), y + chance.randrange(15, 90))
        (draw.ellipse if chance.random() < 0.5 else draw.rectangle)(box, fill=colour())
    return picture.resize(size)


def encoded(picture: Image.Image, form: str = "PNG", **options: int) -> bytes:
    out = io.BytesIO()
    picture.save(out, form, **options)
    return out.getvalue()


def fill(client: Client, collection: str, items: list[ImageItem]) -> None:
    """Index items, and wait until they can be found."""
    client.collections.create(collection, thumbnail_side_px=256)
    accepted = list(
        client.submit_images(collection, items, job_id=(job := f"fill-{uuid.uuid4().hex[:8]}"))
    )
    assert all(each.accepted for each in accepted)
    failed = [each for each in client.watch_ingest(job) if each.result.error is not None]
    assert not failed
    assert client.count(collection) == len(items)


def fill_copies(client: Client, collection: str) -> None:
    """Index six pictures, and a smaller and a tiny copy of each."""
    items = [
        ImageItem(name, data, {"of": str(n)})
        for n in range(100, 106)
        for name, data in (
            (f"{n}/large.png", encoded(drawing(n, (480, 360)))),
            (f"{n}/small.jpg", encoded(drawing(n, (240, 180)), "JPEG", quality=80)),
            (f"{n}/tiny.jpg", encoded(drawing(n, (160, 120)), "JPEG", quality=70)),
        )
    ]
    fill(client, collection, items)


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A system with two collections: pictures, and hostile names."""
    with RunningSystem(tmp_path_factory.mktemp("web"), (*UP_OPTIONS, "--web")) as running:
        with Client(running.search) as client:
            fill(
                client,
                "pictures",
                [
                    ImageItem(f"{n:03}.png", encoded(drawing(n)), {"kind": "ab"[n % 2], "n": n})
                    for n in range(80)
                ],
            )
            fill(
                client,
                "hostile",
                [ImageItem(name, encoded(drawing(7)), METADATA) for name in HOSTILE],
            )
        yield Site(running.addresses["web"], running.search)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Debian's Chromium, or the one that WEB_TEST_CHROMIUM names."""
    path = os.environ.get("WEB_TEST_CHROMIUM") or shutil.which("chromium")
    if path is None:
        pytest.skip("there is no Chromium: apt-get install chromium, or name one by its path in "
                    "WEB_TEST_CHROMIUM")  # fmt: skip
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(_ARGUMENTS))
        yield browser
        browser.close()


@pytest.fixture
def context(chromium: Browser, site: Site) -> Iterator[BrowserContext]:
    """A browser that was let in, and in which every error of the page fails the test."""
    made = chromium.new_context(viewport={"width": 1280, "height": 800}, reduced_motion="reduce")
    wrong: list[str] = []
    made.on("weberror", lambda error: wrong.append(str(error.error)))
    made.on(
        "console",
        lambda said: (
            wrong.append(said.text)
            if said.type == "error" and not any(each in said.text for each in EXPECTED)
            else None
        ),
    )
    yield made
    made.close()
    assert not wrong


@pytest.fixture
def page(context: BrowserContext, site: Site) -> Page:
    """The page, where it begins."""
    page = context.new_page()
    page.set_default_timeout(20_000)
    page.goto(site.link)
    return page


def show(page: Page, site: Site, view: str, collection: str = "pictures") -> None:
    """Go to a view of a collection."""
    page.goto(f"{site.origin}/#/collections")
    page.locator("#collection option").first.wait_for(state="attached")
    page.locator("#collection").select_option(collection)
    page.goto(f"{site.origin}/#/{view}")


@pytest.fixture
def shots() -> Path | None:
    """Where screenshots are kept, to be looked at: WEB_TEST_SHOTS; None for nowhere."""
    named = os.environ.get("WEB_TEST_SHOTS")
    if not named:
        return None
    Path(named).mkdir(parents=True, exist_ok=True)
    return Path(named)
