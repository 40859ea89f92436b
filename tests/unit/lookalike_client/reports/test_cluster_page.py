"""The page of groups: its map stands alone, and text stays text."""

from __future__ import annotations

import json
import re

from lookalike_client.reports.cluster_map import cluster_page, pictures_wanted
from lookalike_client.types import (
    Cluster,
    ClusterCount,
    ClusteringMethod,
    ClusterMember,
    ClusterReport,
    MapPlace,
)
from tests.unit.lookalike_client.reports.test_pages import read

HOSTILE = '</script><script>alert("x")</script>&\u2028'


def report(label: str = "shoes", *, mapped: bool = True) -> ClusterReport:
    return ClusterReport(
        items=3,
        method=ClusteringMethod.K_MEANS,
        noise=1,
        dimensions=2,
        variance_kept=0.5,
        fitted_items=2,
        silhouette=0.4,
        silhouette_items=2,
        kept_labels=1,
        tried=[ClusterCount(2, 0.1), ClusterCount(3, 0.4)],
        clusters=[Cluster(label, 2, f"a{label}", ["b"], 0.9, 0.4, 0.75)],
        members=[
            ClusterMember(f"a{label}", label, 0.95, label),
            ClusterMember("b", label, 0.85, ""),
            ClusterMember("c", "", 0.0, ""),
        ],
        places=[MapPlace(f"a{label}", 0.1, 0.2), MapPlace("c", 1.0, 0.0)] if mapped else [],
    )


def page(label: str, *, mapped: bool = True) -> str:
    pictures = {f"a{label}": ("image/webp", b"\x00<")}
    return cluster_page(report(label, mapped=mapped), collection=label, pictures=pictures)


def test_the_map_holds_the_items_with_their_groups() -> None:
    found = re.search(r'id="data">(.*?)</script>', page("shoes"), re.DOTALL)
    assert found is not None
    data = json.loads(found[1])

    assert data["clusters"] == [{"label": "shoes", "items": 2}]
    assert [(each["id"], each["c"], each["m"]) for each in data["points"]] == [
        ("ashoes", 0, 1),
        ("c", -1, 0),
    ]
    assert data["points"][0]["u"] == "data:image/webp;base64,ADw="
    assert data["points"][1]["u"] == ""


def test_labels_and_ids_stay_text() -> None:
    plain, hostile = page("shoes"), page(HOSTILE)

    assert read(hostile).tags == read(plain).tags
    assert "<script>alert" not in hostile
    found = re.search(r'id="data">(.*?)</script>', hostile, re.DOTALL)
    assert found is not None
    assert json.loads(found[1])["points"][0]["id"] == f"a{HOSTILE}"


def test_the_page_loads_nothing() -> None:
    assert all(each.startswith("data:") for each in read(page("shoes")).loaded)
    assert "default-src 'none'" in page("shoes")


def test_without_a_map_there_is_no_program() -> None:
    found = read(page("shoes", mapped=False))

    assert "script" not in found.tags
    assert "canvas" not in found.tags
    assert "svg" in found.tags


def test_each_picture_is_asked_for_once() -> None:
    assert pictures_wanted(report()) == ["ashoes", "b", "c"]
