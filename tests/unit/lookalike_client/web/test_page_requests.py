"""What the page asks for, of a search service in memory."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest

from tests.unit.lookalike_client.web.conftest import HOSTILE
from tests.unit.lookalike_client.web.serving import Browser


def test_a_search_by_a_stored_item_goes_on_page_by_page(browser: Browser) -> None:
    asked = {"collection": "photos", "positives": [{"id": "1.jpg"}], "limit": 10}
    first = browser.post("/ui/search", asked).json
    seen = [hit["id"] for hit in first["hits"]]
    while first["next_page_token"]:
        token = first["next_page_token"]
        first = browser.post("/ui/search", {**asked, "page_token": token}).json
        seen += [hit["id"] for hit in first["hits"]]
    assert len(seen) == len(set(seen)) == 24
    assert "1.jpg" not in seen


def test_a_dropped_picture_is_embedded_once_and_looked_for_again(browser: Browser) -> None:
    made = browser.post("/ui/query-picture?collection=photos", b"3.jpg").json
    asked = {"collection": "photos", "positives": [{"picture": made["picture"]}]}
    found = browser.post("/ui/search", {**asked, "explain": True}).json
    assert found["hits"][0]["id"] == "3.jpg"
    assert found["hits"][0]["score"] == pytest.approx(1.0)
    assert found["plan"]["items"] == 25
    far = {**asked, "negatives": [{"id": "3.jpg"}], "positives": [{"id": "4.jpg"}]}
    assert "3.jpg" not in [hit["id"] for hit in browser.post("/ui/search", far).json["hits"]]
    gone = {"collection": "photos", "positives": [{"picture": "none"}]}
    assert browser.post("/ui/search", gone).json["error"]["field"] == "picture"


def test_filters_are_built_of_fields_and_their_values(browser: Browser) -> None:
    fields = browser.get("/ui/fields?collection=photos").json["fields"]
    assert [(each["path"], each["kind"]) for each in fields] == [("kind", "text"), ("n", "number")]
    assert fields[0]["values"] == [["b", 13], ["a", 12]]

    def count(*conditions: object, expression: str = "") -> int:
        asked = {"collection": "photos", "conditions": conditions, "expression": expression}
        return int(browser.post("/ui/count", asked).json["count"])

    of_a = {"field": "kind", "op": "in", "values": ["a"]}
    assert count(of_a) == 12
    assert count({**of_a, "not": True}) == 13
    assert count(of_a, {"field": "n", "op": "range", "at_least": 20}) == 2
    assert count({"field": "n", "op": "range", "at_most": 4}) == 5
    assert count({"field": "kind", "op": "contains", "value": "A"}) == 12
    assert count({"field": "none", "op": "missing"}) == 25
    assert count({"field": "kind", "op": "exists"}, expression='kind = "b"') == 13
    assert count({"field": "kind", "op": "in", "values": ['a" or "1" = "1']}) == 0


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"conditions": "x"}, "conditions"), ({"conditions": [1]}, "conditions"),
        ({"conditions": [{"field": "a", "op": "in", "values": []}]}, "values"),
        ({"conditions": [{"field": "a", "op": "in", "values": [None]}]}, "value"),
        ({"conditions": [{"field": "a", "op": "range"}]}, "at_least"),
        ({"conditions": [{"field": "a", "op": "or"}]}, "op"),
        ({"conditions": [{"op": "in"}]}, "field"),
        ({"collection": 1}, "collection"), ({"limit": 0}, "limit"), ({"limit": "9" * 30}, "limit"),
        ({"min_score": "x"}, "min_score"), ({"explain": 1}, "explain"),
        ({"positives": []}, "positives"),
        ({"positives": [{}]}, "picture"), ({"positives": [{"id": 1}]}, "id"),
        ({"diversity": 2}, "diversity"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(browser: Browser, body: dict[str, object], field: str) -> None:
    good = {"collection": "photos", "positives": [{"id": "1.jpg"}]}
    answer = browser.post("/ui/search", {**good, **body})
    assert answer.status == 400
    assert answer.json["error"]["field"] == field


@pytest.mark.parametrize("body", [b"{", b"[]", b"1", b'"x"', b"\xff", b"[" * 100_000])
def test_what_is_no_object_is_refused(browser: Browser, body: bytes) -> None:
    answer = browser.post("/ui/search", body)
    assert (answer.status, answer.json["error"]["field"]) == (400, "body")


def test_failures_of_the_service_keep_their_reason(browser: Browser) -> None:
    answer = browser.post("/ui/count", {"collection": "none"})
    assert (answer.status, answer.reason) == (404, "COLLECTION_NOT_FOUND")
    answer = browser.post("/ui/count", {"collection": "photos", "expression": "kind ="})
    assert (answer.status, answer.reason) == (400, "FILTER_INVALID")


@pytest.mark.parametrize("name", HOSTILE)
def test_names_travel_as_they_are(browser: Browser, name: str) -> None:
    asked = urlencode({"collection": "photos", "id": name})
    assert browser.get(f"/ui/item?{asked}").json["id"] == name
    found = browser.post("/ui/search", {"collection": "photos", "positives": [{"id": name}]})
    assert found.status == 200
    assert browser.get(f"/ui/picture?{asked}").status == 404  # nothing is pictured here
    picture = browser.get(f"/ui/item?{urlencode({'collection': 'photos', 'id': name + 'x'})}")
    assert (picture.status, picture.reason) == (404, "ITEM_NOT_FOUND")


def test_uploads_are_queued_and_their_outcomes_told(browser: Browser) -> None:
    job = browser.post("/ui/job").json["job"]
    for name in ("new/1.jpg", "new/2.jpg"):
        asked = urlencode({"collection": "photos", "id": name, "job": job})
        assert browser.post(f"/ui/upload?{asked}", name.encode()).json["id"] == name
    refused = browser.post(f"/ui/upload?{urlencode({'collection': 'photos', 'id': ''})}", b"x")
    assert (refused.status, refused.reason) == (400, "INVALID_FIELD")
    lines = browser.get(f"/ui/outcomes?job={job}")
    assert lines.headers["content-type"] == "application/x-ndjson"
    told = lines.body.decode().splitlines()
    assert len(told) == 3
    assert told[-1] == '{"end": true}'
    browser.post(
        "/api/v1/items/delete",
        {"collection": "photos", "items": [{"id": "new/1.jpg"}, {"id": "new/2.jpg"}]},
    )
