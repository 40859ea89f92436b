"""Groups of items as a page with a map that can be moved."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping

from markupsafe import Markup

from lookalike_client.reports.charts import Axis, Series, lines
from lookalike_client.reports.pages import render
from lookalike_client.types import Cluster, ClusteringMethod, ClusterReport

METHOD_NAMES = {
    ClusteringMethod.K_MEANS: "k-means",
    ClusteringMethod.HDBSCAN: "HDBSCAN",
}
_MOST_ROWS = 200
# In JSON these may be written so; in a page they could end the element around it.
_UNSAFE = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


def pictures_wanted(report: ClusterReport) -> list[str]:
    """Return the ids of the items that the page shows, each once, the middles first."""
    shown = report.clusters[:_MOST_ROWS]
    ids = [
        *(each.medoid_id for each in report.clusters),
        *(id for each in shown for id in each.example_ids),
        *(place.id for place in report.places),
    ]
    return list(dict.fromkeys(ids))


def cluster_page(
    report: ClusterReport, *, collection: str, pictures: Mapping[str, tuple[str, bytes]]
) -> str:
    """Return the page; `pictures` are small ones by id: their media type and bytes."""
    uris = {id: _uri(*picture) for id, picture in pictures.items()}
    shown = report.clusters[:_MOST_ROWS]
    return render(
        "cluster_map.html.j2",
        title=f"Groups of {collection}",
        subtitle=how_found(report),
        facts=_facts(report),
        map_data=_embedded(_map_data(report, uris)) if report.places else None,
        tried=_tried(report),
        rows=[
            (each, [(id, uris.get(id)) for id in (each.medoid_id, *each.example_ids)])
            for each in shown
        ],
        left_out=len(report.clusters) - len(shown),
        silhouettes=any(each.silhouette is not None for each in shown),
        kept=any(each.kept_share is not None for each in shown),
    )


def how_found(report: ClusterReport) -> str:
    """Say how groups were found, and among which items."""
    text = (
        f"{METHOD_NAMES[report.method]} along {report.dimensions} directions that hold "
        f"{report.variance_kept:.0%} of the variance"
    )
    if report.fitted_items < report.items:
        joined = "centre" if report.method is ClusteringMethod.K_MEANS else "of these"
        text += (
            f"; found among {report.fitted_items:,} items, the others joined the nearest {joined}"
        )
    return f"{text}."


def _facts(report: ClusterReport) -> list[tuple[str, str]]:
    facts = [("items", f"{report.items:,}"), ("groups", f"{len(report.clusters):,}")]
    if report.method is ClusteringMethod.HDBSCAN:
        facts.append(("in no group", f"{report.noise / max(report.items, 1):.0%}"))
    if report.silhouette_items:
        facts.append(
            (f"silhouette of {report.silhouette_items:,} items", f"{report.silhouette:.3f}")
        )
    if report.kept_labels:
        facts.append(("kept their label", f"{report.kept_labels:,}"))
    return facts


def _map_data(report: ClusterReport, uris: Mapping[str, str]) -> dict[str, object]:
    numbers = {each.label: number for number, each in enumerate(report.clusters)}
    members = {each.id: each for each in report.members}
    medoids = {each.medoid_id for each in report.clusters}
    points = [
        {
            "id": place.id,
            "x": round(place.x, 4),
            "y": round(place.y, 4),
            "c": numbers.get(members[place.id].label, -1),
            "s": round(members[place.id].cosine_to_middle, 3),
            "m": int(place.id in medoids),
            "u": uris.get(place.id, ""),
        }
        for place in report.places
    ]
    return {"clusters": [_named(each) for each in report.clusters], "points": points}


def _named(cluster: Cluster) -> dict[str, object]:
    return {"label": cluster.label, "items": cluster.items}


def _tried(report: ClusterReport) -> Markup | None:
    if len(report.tried) < 2:
        return None
    x = [float(each.clusters) for each in report.tried]
    y = [each.silhouette for each in report.tried]
    chosen = len(report.clusters)
    return lines(
        [Series("silhouette", x, y, "third")],
        Axis("groups", x[0], x[-1]),
        Axis("silhouette", min(0.0, *y), max(y)),
        mark=(float(chosen), f"{chosen} groups"),
    )


def _embedded(data: Mapping[str, object]) -> Markup:
    """Return JSON that cannot end the element around it, whatever the labels hold."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    for character, escaped in _UNSAFE.items():
        text = text.replace(character, escaped)
    return Markup(text)  # noqa: S704 - made safe above


def _uri(media_type: str, picture: bytes) -> str:
    return f"data:{media_type};base64,{base64.b64encode(picture).decode('ascii')}"
