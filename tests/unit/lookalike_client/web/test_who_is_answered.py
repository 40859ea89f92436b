"""Hosts, origins, tokens, methods and sizes: who is refused before anything is read."""

from __future__ import annotations

import pytest

from lookalike_client.web.page.routes import page_routes
from lookalike_client.web.page.tasks import Tasks
from lookalike_client.web.rest.operations import OPERATIONS
from lookalike_client.web.services import Services
from tests.unit.lookalike_client.web.serving import TOKEN, Browser


def test_the_link_gives_a_cookie_and_takes_the_token_out_of_the_address(browser: Browser) -> None:
    entered = browser.get(f"/?token={TOKEN}", cookie=None)
    assert (entered.status, entered.headers["location"]) == (303, "/")
    cookie = entered.headers["set-cookie"]
    assert cookie.startswith(f"lookalike-{browser.port}={TOKEN};")
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert browser.get("/?token=other", cookie=None).status == 403


@pytest.mark.parametrize(
    "path",
    ["/", "/api", "/static/base.css", "/ui/session", "/ui/picture", "/api/v1/status", "/none"],
)
def test_without_the_token_nothing_is_answered(browser: Browser, path: str) -> None:
    for cookie in (None, "", f"{browser.options.cookie}=", f"{browser.options.cookie}=x", "a=b"):
        answer = browser.get(path, cookie=cookie)
        assert (answer.status, answer.reason) == (403, "TOKEN_MISSING")
    assert browser.get(path, cookie=None, authorization="Bearer x").status == 403
    assert browser.get(path, cookie=None, authorization=f"Basic {TOKEN}").status == 403


@pytest.mark.parametrize(
    "host",
    [
        "evil.example", "evil.example:PORT", "127.0.0.1", "127.0.0.1:1", "localhost:1", "",
        "127.0.0.1:PORT.evil.example", "127.0.0.1:PORT@evil", "[::1]", "0.0.0.0:PORT",
    ],
)  # fmt: skip
def test_other_hosts_are_refused(browser: Browser, host: str) -> None:
    named = host.replace("PORT", str(browser.port))
    for path in ("/", f"/?token={TOKEN}", "/ui/session", "/api/v1/status"):
        answer = browser.get(path, host=named)
        assert (answer.status, answer.reason) == (403, "HOST_NOT_ALLOWED")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST", "[::1]"])
def test_names_of_this_machine_are_answered(browser: Browser, host: str) -> None:
    assert browser.get("/ui/session", host=f"{host}:{browser.port}").status == 200


@pytest.mark.parametrize(
    "origin",
    [
        "null", "https://evil.example", "http://evil.example:PORT", "http://127.0.0.1:1",
        "http://localhost", "file://", "http://127.0.0.1:PORT.evil.example", "ftp://localhost:PORT",
        "http://[", "",
    ],
)  # fmt: skip
def test_other_origins_are_refused(browser: Browser, origin: str) -> None:
    named = origin.replace("PORT", str(browser.port))
    for send in (browser.get, browser.post):
        answer = send("/ui/count", origin=named)
        assert (answer.status, answer.reason) == (403, "ORIGIN_NOT_ALLOWED")


def test_a_post_that_another_site_made_the_browser_send_is_refused(browser: Browser) -> None:
    body = {"collection": "photos"}
    own = {"origin": f"http://127.0.0.1:{browser.port}", "sec_fetch_site": "same-origin"}
    assert browser.post("/ui/count", body, **own).json == {"count": 25}
    assert browser.post("/ui/count", body, sec_fetch_site="cross-site").status == 403
    for token in (None, "", TOKEN, "x"):
        answer = browser.post("/ui/count", body, x_lookalike_csrf=token)
        assert (answer.status, answer.reason) == (403, "CSRF_TOKEN_MISSING")
    bearer = {"cookie": None, "x_lookalike_csrf": None, "authorization": f"Bearer {TOKEN}"}
    assert browser.post("/ui/count", body, **bearer).status == 200


def test_what_is_answered_lets_no_script_in(browser: Browser) -> None:
    for path in ("/", "/api", "/static/js/app.js", "/ui/session", "/none", "/ui/picture?id=x"):
        headers = browser.get(path).headers
        policy = dict(
            part.strip().partition(" ")[::2]
            for part in headers["content-security-policy"].split(";")
        )
        assert policy["default-src"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == "'self'"
        assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert "server" not in headers
    page = browser.get("/").body.decode()
    assert "<style" not in page
    assert "style=" not in page
    assert page.count("<script") == page.count('<script type="module" src="/static/') == 1


@pytest.mark.parametrize(
    "path",
    [
        "/static/../options.py", "/static/..%2foptions.py", "/static/%2e%2e/%2e%2e/settings.py",
        "/static/js/../../app.py", "/static//etc/passwd", "/static/js%2f..%2f..%2fguard.py",
        "/static/....//app.py", "/static/js/app.js%00.css", "/static/", "/static/js",
        "/../../../../etc/passwd", "/static/..\\app.py", "/static/%252e%252e/app.py",
    ],
)  # fmt: skip
def test_no_path_leads_out_of_the_page(browser: Browser, path: str) -> None:
    answer = browser.get(path)
    assert answer.status == 404
    assert b"lookalike" not in answer.body.lower()


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "TRACE", "PATCH"])
def test_other_methods_are_refused(browser: Browser, method: str) -> None:
    assert browser.send(method, "/ui/session", b"", {}).status == 405


def test_large_bodies_are_refused_before_and_while_they_are_read(browser: Browser) -> None:
    body = b"x" * 200_001
    assert browser.post("/ui/upload?collection=photos&id=a", body).status == 413
    chunks = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    chunked = {"transfer-encoding": "chunked", "content-length": None}
    answer = browser.send("POST", "/ui/upload?collection=photos&id=a", chunks, chunked)
    assert (answer.status, answer.reason) == (413, "LIMIT_EXCEEDED")
    assert browser.post("/ui/upload", content_length="-1").status in (400, 413)


def test_a_read_only_server_changes_nothing(reader: Browser) -> None:
    assert reader.get("/ui/session").json["read_only"]
    routes = page_routes(Services(reader.options), Tasks())
    refused = [each for each in routes if each.endpoint.__name__ == "refused"]
    assert len(refused) == 8
    for route in refused:
        answer = reader.post(route.path)
        assert (answer.status, answer.reason) == (403, "READ_ONLY")
    for operation in OPERATIONS:
        if operation.changes:
            assert reader.post(f"/api/v1{operation.path}").reason == "READ_ONLY"
    assert reader.post("/ui/count", {"collection": "photos"}).status == 200
