"""`lookalike cluster`."""

from __future__ import annotations

import csv
from pathlib import Path

import click

from lookalike_client import Client
from lookalike_client.cli.analysis import PAGE, progress, say_page
from lookalike_client.cli.pictures import small_pictures
from lookalike_client.cli.session import Session, connected
from lookalike_client.reports.cluster_map import cluster_page, how_found, pictures_wanted
from lookalike_client.reports.pages import write_page
from lookalike_client.types import ClusteringMethod, ClusterReport, Metadata

_SHOWN = 30
_COLUMNS = ("id", "label", "cosine_to_middle", "earlier_label")
# Items a request of metadata holds.
_PER_CALL = 1_000


@click.command()
@click.option("-c", "--collection", default="images", show_default=True, help="Name or alias.")
@click.option("--filter", "condition", help="Only items that meet it count.")
@click.option(
    "--method",
    type=click.Choice([each.value for each in ClusteringMethod]),
    default=ClusteringMethod.K_MEANS.value,
    show_default=True,
    help="hdbscan leaves out what lies between dense places.",
)
@click.option(
    "--clusters",
    type=click.IntRange(2, 1_000),
    help="How many, for k-means.  [default: the clearest number]",
)
@click.option(
    "--max-clusters", type=click.IntRange(2, 1_000), help="The most that are tried.  [default: 100]"
)
@click.option(
    "--min-cluster-size",
    type=click.IntRange(2, 1_000),
    help="The least items of a group, for hdbscan.  [default: 5]",
)
@click.option(
    "--write",
    "field",
    help="Metadata field for the labels; those of an earlier run in it are kept where they can be.",
)
@click.option("--yes", is_flag=True, help="Do not ask before labels are stored.")
@click.option(
    "--csv",
    "table",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Write all items with their labels to this file.",
)
@click.option("--html", type=PAGE, help="Write a page with a map to this file.")
@click.option(
    "--map-items",
    default=3_000,
    show_default=True,
    type=click.IntRange(10, 20_000),
    help="Items on the map of the page, drawn at random.",
)
@click.option(
    "--images",
    "folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The indexed folder, for the pictures of the page.  [default: stored small ones]",
)
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0))
@connected
def cluster(
    session: Session,
    collection: str,
    condition: str | None,
    method: str,
    clusters: int | None,
    max_clusters: int | None,
    min_cluster_size: int | None,
    field: str | None,
    yes: bool,
    table: Path | None,
    html: Path | None,
    map_items: int,
    folder: Path | None,
    seed: int,
) -> None:
    """Find groups of items that look alike, and draw them on a map.

    Nothing is stored unless --write names a metadata field. Groups that are still the same
    keep the labels that an earlier run has written there, also those that people changed.
    """
    if field is not None and "." in field:
        raise click.UsageError("--write takes a field at the top of the metadata.")
    if html is not None and not html.parent.is_dir():  # better told before than after the work
        raise click.UsageError(f"--html: there is no folder {html.parent}.")
    written: int | None = None
    with session.client() as client:
        with progress() as told:
            report = client.analysis.cluster(
                collection,
                filter=condition,
                method=ClusteringMethod(method),
                clusters=clusters or 0,
                max_clusters=max_clusters or 0,
                min_cluster_size=min_cluster_size or 0,
                label_field=field or "",
                map_items=map_items if html is not None else 0,
                seed=seed,
                on_progress=told,
            )
            if html is not None:
                wanted = pictures_wanted(report)
                pictures = small_pictures(client, collection, wanted, folder, told)
                write_page(html, cluster_page(report, collection=collection, pictures=pictures))
        if table is not None:
            _write_table(table, report)
        if field is not None:
            written = _store(client, collection, field, report, yes=yes)
    if session.output.as_json:
        session.output.document({"result": report, "written": written})
    else:
        _print(session, report, written)
        say_page(session, html)


def _print(session: Session, report: ClusterReport, written: int | None) -> None:
    shown = report.clusters[:_SHOWN]
    kept = any(each.kept_share is not None for each in shown)
    session.output.table(
        f"{report.items:,} items, {len(report.clusters):,} groups",
        ["group", "items>", "cosine>", "silhouette>", *(["kept>"] if kept else []), "its middle"],
        [
            (
                each.label,
                f"{each.items:,}",
                f"{each.cosine_to_middle:.3f}",
                "" if each.silhouette is None else f"{each.silhouette:.3f}",
                *(["" if each.kept_share is None else f"{each.kept_share:.0%}"] if kept else []),
                each.medoid_id,
            )
            for each in shown
        ],
    )
    if len(report.clusters) > len(shown):
        session.output.text(f"{len(report.clusters) - len(shown):,} more: see --csv or --json")
    facts: dict[str, object] = {"found": how_found(report)}
    if report.silhouette_items:
        facts["silhouette"] = f"{report.silhouette:.3f}, of {report.silhouette_items:,} items"
    if report.noise:
        facts["in no group"] = f"{report.noise:,} items"
    if report.kept_labels:
        facts["kept their label"] = f"{report.kept_labels:,} groups"
    if written is not None:
        facts["stored"] = f"labels of {written:,} items that had another or none"
    session.output.facts(facts)


def _write_table(path: Path, report: ClusterReport) -> None:
    try:
        with path.open("w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file)
            rows.writerow(_COLUMNS)
            rows.writerows([getattr(each, name) for name in _COLUMNS] for each in report.members)
    except OSError as error:
        raise click.ClickException(f"{path} cannot be written: {error.strerror}") from error


def _store(client: Client, collection: str, field: str, report: ClusterReport, *, yes: bool) -> int:
    """Store the labels that changed beside what else is known; return how many were stored.

    Items in no group lose an earlier label.
    """
    changed = [each for each in report.members if each.label != each.earlier_label]
    if changed and not yes:
        click.confirm(f"Store {len(changed):,} labels in {field}?", abort=True, err=True)
    stored = 0
    for start in range(0, len(changed), _PER_CALL):
        some = changed[start : start + _PER_CALL]
        updates: dict[str, Metadata] = {each.id: {field: each.label or None} for each in some}
        results = client.update_metadata(collection, updates, merge=True)
        stored += sum(result.error is None for result in results)
    return stored
