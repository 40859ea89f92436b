"""The contract as JSON over HTTP."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest

from lookalike_client.web.rest.comments import comments
from lookalike_client.web.rest.openapi import describe
from lookalike_client.web.rest.operations import OPERATIONS, Body
from tests.unit.lookalike_client.web.serving import Answer, Browser

BOUNDARY = "boundary-of-the-tests"


def form(fields: dict[str, bytes | str]) -> bytes:
    """Bytes are a file."""
    parts = []
    for name, value in fields.items():
        file = '; filename="f"' if isinstance(value, bytes) else ""
        data = value if isinstance(value, bytes) else value.encode()
        head = f'--{BOUNDARY}\r\ncontent-disposition: form-data; name="{name}"{file}\r\n\r\n'
        parts.append(head.encode() + data + b"\r\n")
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


def post_form(browser: Browser, path: str, fields: dict[str, bytes | str]) -> Answer:
    kind = f"multipart/form-data; boundary={BOUNDARY}"
    return browser.post(path, form(fields), content_type=kind)


def test_searches_by_id_and_by_image_with_a_filter(browser: Browser) -> None:
    asked = {
        "collection": "photos",
        "queries": [{"id": "1.jpg"}, {"image": base64.b64encode(b"2.jpg").decode()}],
        "filter": {"expression": 'kind = "a"'},
        "fields": {"metadata": True},
        "limit": 3,
    }
    one, two = browser.post("/api/v1/search", asked).json["results"]
    assert len(one["hits"]) == len(two["hits"]) == 3
    assert {hit["item"]["metadata"]["kind"] for hit in (*one["hits"], *two["hits"])} == {"a"}
    assert two["hits"][0]["id"] == "2.jpg"

    told = {"collection": "photos", "limit": 2}
    answer = post_form(
        browser, "/api/v1/search/image", {"image": b"5.jpg", "request": json.dumps(told)}
    )
    assert answer.json["results"][0]["hits"][0]["id"] == "5.jpg"
    assert len(answer.json["results"][0]["hits"]) == 2


def test_items_and_submissions(browser: Browser) -> None:
    told = {
        "collection": "photos",
        "job_id": "api",
        "upload": {"id": "api/1", "metadata": {"k": [1]}},
    }
    answer = post_form(
        browser, "/api/v1/submissions/image", {"image": b"one", "request": json.dumps(told)}
    )
    assert answer.json["accepted"]["version"].isdecimal()
    submitted = {
        "collection": "photos", "job_id": "api",
        "upload": {"id": "api/2", "image": base64.b64encode(b"two").decode()},
    }  # fmt: skip
    assert browser.post("/api/v1/submissions", submitted).status == 200
    lines = browser.get("/api/v1/jobs/api/outcomes").body.decode().splitlines()
    assert [json.loads(line)["result"]["status"] for line in lines] == [
        "MUTATION_STATUS_APPLIED"
    ] * 2
    found = browser.post(
        "/api/v1/items/get",
        {"collection": "photos", "ids": ["api/1", "no"], "fields": {"metadata": True}},
    ).json
    assert found["items"][0]["metadata"] == {"k": [1]}
    assert found["missing_ids"] == ["no"]
    gone = browser.post(
        "/api/v1/items/delete",
        {"collection": "photos", "items": [{"id": "api/1"}, {"id": "api/2"}]},
    )
    assert [each["status"] for each in gone.json["results"]] == ["MUTATION_STATUS_APPLIED"] * 2
    assert browser.post("/api/v1/items/count", {"collection": "photos"}).json == {"count": "25"}
    page = browser.post("/api/v1/items/list", {"collection": "photos", "page_size": 2}).json
    assert len(page["items"]) == 2
    assert page["next_page_token"]
    assert browser.get("/api/v1/status").status == 200
    assert browser.get("/api/v1/collections?page_size=5").json["collections"][0]["name"] == "photos"
    assert browser.get("/api/v1/collections/photos").json["collection"]["stats"]["items"] == "25"


@pytest.mark.parametrize(
    ("path", "body", "status", "reason", "field"),
    [
        ("search", {"collection": "no", "queries": [{"id": "a"}]}, 404, "COLLECTION_NOT_FOUND", ""),
        ("search", {"collection": "photos", "queries": [{"id": "no"}]}, 404, "ITEM_NOT_FOUND", ""),
        ("search", {"queries": 1}, 400, "INVALID_FIELD", "body"),
        ("search", {"nothing": 1}, 400, "INVALID_FIELD", "body"),
        ("search", {"limit": -1}, 400, "INVALID_FIELD", "body"),
        ("items/list", {"collection": "photos", "page_size": 5_000}, 400, "LIMIT_EXCEEDED", "page"),
        (
            "items/count", {"collection": "photos", "filter": {"expression": "("}},
            400, "FILTER_INVALID", "filter",
        ),
        ("submissions", {"collection": "photos"}, 400, "INVALID_FIELD", "mutation"),
    ],
)  # fmt: skip
def test_errors_are_those_of_the_contract(
    browser: Browser, path: str, body: object, status: int, reason: str, field: str
) -> None:
    answer = browser.post(f"/api/v1/{path}", body)
    assert (answer.status, answer.reason) == (status, reason)
    assert answer.json["error"]["field"].startswith(field.split("[", maxsplit=1)[0])
    assert answer.json["error"]["message"]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({}, "image"), ({"image": "text"}, "image"), ({"image": b"x", "request": "{"}, "request"),
        ({"image": b"x", "request": "[]"}, "request"),
        ({"image": b"x", "request": b"{"}, "request"),
        ({"image": b"x", "request": '{"a": 1}'}, "body"),
    ],
)  # fmt: skip
def test_forms_that_are_wrong_are_refused(
    browser: Browser, fields: dict[str, bytes | str], field: str
) -> None:
    answer = post_form(browser, "/api/v1/search/image", fields)
    assert (answer.status, answer.json["error"]["field"]) == (400, field)
    answer = browser.post(
        "/api/v1/search/image", b"x", content_type="multipart/form-data; boundary=x"
    )
    assert answer.status == 400
    assert browser.get("/api/v1/collections?nothing=1").json["error"]["field"] == "nothing"
    assert browser.get("/api/v1/collections?page_size=x").json["error"]["field"] == "page_size"


def refs(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from (value["$ref"],) if "$ref" in value else ()
        for each in value.values():
            yield from refs(each)
    elif isinstance(value, list):
        for each in value:
            yield from refs(each)


def test_the_description_names_each_call_and_each_message(browser: Browser) -> None:
    document = browser.get("/api/openapi.json").json
    assert document == describe(OPERATIONS, "/api/v1")
    assert document["openapi"].startswith("3.1")
    assert len(OPERATIONS) == sum(len(each) for each in document["paths"].values()) > 15
    schemas = document["components"]["schemas"]
    named = {each.rsplit("/", 1)[1] for each in refs(document)}
    assert named == schemas.keys()
    for name, schema in schemas.items():
        assert schema["description"], name
        for field, own in schema["properties"].items():
            assert name == "Error" or own["description"], f"{name}.{field}"
    for path, methods in document["paths"].items():
        for operation in methods.values():
            assert operation["summary"].endswith("."), path


def test_comments_are_read_from_the_contract() -> None:
    said = comments()
    assert said["SearchService.CountItems"] == "Counts items."
    assert said["Hit.score"] == "Cosine of the float32 vectors: -1 to 1."
    assert said["ThumbnailSettings.side_px"].startswith("Longest side")
    assert {operation.body for operation in OPERATIONS} == set(Body)
