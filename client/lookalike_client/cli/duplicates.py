"""`lookalike duplicates`: find them, decide on them, and let the others go."""

from __future__ import annotations

from pathlib import Path

import click

from lookalike_client import Client
from lookalike_client.cli import duplicate_changes as changes
from lookalike_client.cli.analysis import progress
from lookalike_client.cli.session import Session, connected
from lookalike_client.types import (
    DuplicateGroup,
    DuplicateKind,
    DuplicateMember,
    DuplicatesReport,
)

_SHOWN = 20
_KINDS = click.Choice([kind.value for kind in DuplicateKind])
_written = click.Path(dir_okay=False, writable=True, path_type=Path)


@click.command()
@click.option("-c", "--collection", default="images", show_default=True, help="Name or alias.")
@click.option("--filter", "condition", help="Only items that meet it count.")
@click.option(
    "--threshold",
    type=click.FloatRange(0, 1, min_open=True),
    help="Least cosine of near items; the calibrated one by default.",
)
@click.option("--kind", "kinds", type=_KINDS, multiple=True, help="Only these; may be repeated.")
@click.option(
    "--since-version", default=0, type=click.IntRange(min=0), help="Only with newer items."
)
@click.option("--capture-time-field", default="", help="Lists bursts by this metadata field.")
@click.option(
    "--burst-seconds",
    default=3.0,
    show_default=True,
    type=click.FloatRange(0, 3_600, min_open=True),
)
@click.option("--turned", is_flag=True, help="Find turned and mirrored copies too: takes longer.")
@click.option("--csv", "table", type=_written, help="Write all groups to this file.")
@click.option(
    "--decisions",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Note those of a CSV file first: id,other_id,verdict.",
)
@click.option(
    "--write-decisions",
    "decisions_path",
    type=_written,
    help="Write decided pairs to this file, as calibrate --pairs takes them.",
)
@click.option(
    "--accept", type=_KINDS, multiple=True, help="Take this kind as reviewed; may be repeated."
)
@click.option("--accept-above", type=click.FloatRange(0, 1), help="Take these cosines as reviewed.")
@click.option(
    "--merge-metadata", is_flag=True, help="Fill in the keeper's metadata from the others."
)
@click.option(
    "--delete", "deletes", is_flag=True, help="Delete reviewed duplicates from the index."
)
@click.option(
    "--write-delete-list", "list_path", type=_written, help="Write their ids to this file."
)
@click.option("--yes", is_flag=True, help="Do it: without, nothing in the collection changes.")
@connected
def duplicates(
    session: Session,
    collection: str,
    condition: str | None,
    threshold: float | None,
    kinds: tuple[str, ...],
    since_version: int,
    capture_time_field: str,
    burst_seconds: float,
    turned: bool,
    table: Path | None,
    decisions: Path | None,
    decisions_path: Path | None,
    accept: tuple[str, ...],
    accept_above: float | None,
    merge_metadata: bool,
    deletes: bool,
    list_path: Path | None,
    yes: bool,
) -> None:
    """Find items that show the same picture, in groups, with which one to keep and why.

    Files are never touched, and items only with --yes: those that a decision, or --accept,
    calls duplicates of the one that is kept. Items that were decided to be kept stay.
    """
    with session.client() as client:
        if decisions is not None:
            made = changes.read_decisions(decisions)
            if yes:
                client.analysis.decide_duplicates(collection, made)
        with progress() as told:
            report = client.analysis.find_duplicates(
                collection,
                filter=condition,
                threshold=threshold,
                kinds=[DuplicateKind(each) for each in kinds],
                since_version=since_version,
                capture_time_field=capture_time_field,
                burst_seconds=burst_seconds if capture_time_field else 0.0,
                turned=turned,
                on_progress=told,
            )
        accepted = changes.accepted(report.groups, accept, accept_above)
        leaving = [changes.leaving(group, accepted) for group in report.groups]
        gone = [id for ids in leaving for id in ids]
        done = {"noted": 0, "merged": 0, "deleted": 0}
        if yes:
            done = _change(
                client, collection, report, leaving, accepted, merge=merge_metadata, deletes=deletes
            )
        if decisions_path is not None:
            changes.write_decisions(decisions_path, client.analysis.duplicate_decisions(collection))
    if table is not None:
        changes.write_groups(table, report.groups)
    if list_path is not None:
        changes.write_list(list_path, gone)
    if session.output.as_json:
        session.output.document(
            {"report": report, "would_delete": gone, "dry_run": not yes, "done": done}
        )
    else:
        _print(session, report)
        _say(
            session, gone, done, wanted=deletes or merge_metadata or decisions is not None, yes=yes
        )


def _change(
    client: Client,
    collection: str,
    report: DuplicatesReport,
    leaving: list[list[str]],
    accepted: changes.Accepted,
    *,
    merge: bool,
    deletes: bool,
) -> dict[str, int]:
    """Note what was accepted, fill in metadata, and delete, in this order."""
    made = changes.decisions_of(report.groups, accepted)
    client.analysis.decide_duplicates(collection, made)
    merged = deleted = 0
    if merge:
        merged = changes.merge_metadata(client, collection, report.groups, leaving)
    if deletes:
        deleted = changes.delete(client, collection, [id for ids in leaving for id in ids])
    return {"noted": len(made), "merged": merged, "deleted": deleted}


def _print(session: Session, report: DuplicatesReport) -> None:
    rows = [row for group in report.groups[:_SHOWN] for row in _rows(group)]
    if rows:
        columns = ["keep", "id", "kind", "cosine>", "size>", "why"]
        session.output.table(f"{len(report.groups):,} groups", columns, rows)
    else:
        session.output.text("no duplicates")
    left = len(report.groups) - _SHOWN
    if left > 0:
        session.output.text(f"{left:,} more: see --csv or --json")
    for stack in report.stacks[:_SHOWN]:
        session.output.text(f"stack ({stack.kind}): {', '.join(stack.ids)}")
    facts: dict[str, object] = {
        "threshold": f"{report.threshold:.3f}",
        "items": f"{report.items:,}",
        "next time": f"--since-version {report.newest_version}",
    }
    if report.without_pictures:
        facts["without a grey picture"] = (
            f"{report.without_pictures:,} items: their copies are told by cosine alone; index "
            "them again"
        )
    if report.cut:
        facts["too many neighbours"] = f"{report.cut:,} items: the threshold may be too low"
    session.output.facts(facts)


def _rows(group: DuplicateGroup) -> list[tuple[str, ...]]:
    reasons = ", ".join(reason.replace("_", " ") for reason in group.reasons)
    return [
        (
            "yes" if place == 0 else "kept" if member.kept else "",
            member.id,
            _kind(member),
            "" if member.kind is None else f"{member.score:.3f}",
            f"{member.width_px}x{member.height_px}" if member.width_px else "",
            reasons if place == 0 else "reviewed" if member.reviewed else "",
        )
        for place, member in enumerate(group.members)
    ]


def _kind(member: DuplicateMember) -> str:
    """Return what a member is to the representative, and how it was turned."""
    turned = f"turned {member.turned_degrees}" if member.turned_degrees else ""
    parts = [(member.kind or "").replace("_", "-"), "mirrored" * member.mirrored, turned]
    return ", ".join(part for part in parts if part)


def _say(
    session: Session, gone: list[str], done: dict[str, int], *, wanted: bool, yes: bool
) -> None:
    if yes:
        told = ", ".join(f"{count:,} {name}" for name, count in done.items() if count)
        session.output.text(f"done: {told or 'nothing to do'}")
    elif gone or wanted:
        session.output.text(
            f"nothing was changed: {len(gone):,} reviewed duplicates could be deleted; with --yes "
            "it is done"
        )
