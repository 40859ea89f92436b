"""`lookalike failures`: what was given up, rejected or lost, and trying it again."""

from __future__ import annotations

from collections.abc import Sequence

import click

from lookalike.wire.errors import Reason
from lookalike_client import Client
from lookalike_client.cli.output import Output
from lookalike_client.cli.session import Session, connected
from lookalike_client.types import IngestFailure, RetryResult


@click.command()
@click.option("-c", "--collection", default="", help="Only of this collection.")
@click.option("--id", "ids", multiple=True, help="Only of this item; may be repeated.")
@click.option("--retry", is_flag=True, help="Queue again what failed; not duplicates.")
@click.option(
    "--store-duplicates",
    is_flag=True,
    help="Queue again what was kept out as a duplicate, and store it all the same.",
)
@connected
def failures(
    session: Session, collection: str, ids: tuple[str, ...], retry: bool, store_duplicates: bool
) -> None:
    """List images that were given up, newest first, with the reason.

    Also listed: what the duplicate policy kept out, with what it looks like, and what
    the queue's server lost, of which there is nothing to queue again: index it again.
    """
    with session.client() as client:
        found = [each for each in client.failures(collection) if not ids or each.id in ids]
        retried = None
        if retry or store_duplicates:
            retried = _retry(client, found, failed=retry, duplicates=store_duplicates)
    if session.output.as_json:
        document: dict[str, object] = {"failures": found}
        if retried is not None:
            document["retried"] = retried.retried
            document["missing_failure_ids"] = retried.missing_failure_ids
        session.output.document(document)
        return
    _print(session.output, found)
    if retried is not None:
        session.output.text(f"queued {retried.retried:,} again")
        if retried.missing_failure_ids:
            session.output.paragraph(
                f"{len(retried.missing_failure_ids):,} cannot be queued again: their images are "
                "not kept any more, or they were settled meanwhile"
            )
    for line in _hints(found, retry=retry, store_duplicates=store_duplicates):
        session.output.paragraph(line)


def _retry(
    client: Client, found: Sequence[IngestFailure], *, failed: bool, duplicates: bool
) -> RetryResult:
    retried = 0
    missing: list[str] = []
    for wanted, policy, kind in ((failed, "", _is_failed), (duplicates, "accept", _is_duplicate)):
        ids = [each.failure_id for each in found if wanted and kind(each)]
        result = client.retry_failures(ids, duplicate_policy=policy)
        retried += result.retried
        missing.extend(result.missing_failure_ids)
    return RetryResult(retried, missing)


def _is_duplicate(failure: IngestFailure) -> bool:
    return failure.error.reason is Reason.DUPLICATE_REJECTED


def _is_lost(failure: IngestFailure) -> bool:
    return failure.error.reason is Reason.INGEST_LOST


def _is_failed(failure: IngestFailure) -> bool:
    return not _is_duplicate(failure) and not _is_lost(failure)


def _print(output: Output, found: Sequence[IngestFailure]) -> None:
    """Print a table for each kind: what failed, what looks like another image, what is lost."""
    if not found:
        output.text("no failures")
        return
    if failed := [each for each in found if _is_failed(each)]:
        output.table(
            f"Failures {len(failed):,}",
            ["id", "reason", "message", "tries>", "when", "job"],
            [
                (
                    *(each.id, each.error.reason.name, each.error.message),
                    *(each.attempts, _when(each), each.job_id),
                )
                for each in failed
            ],
        )
    if kept_out := [each for each in found if _is_duplicate(each)]:
        output.table(
            f"Rejected as duplicates {len(kept_out):,}",
            ["id", "looks like", "score>"],
            [(each.id, *_neighbour(each)) for each in kept_out],
        )
    if lost := [each for each in found if _is_lost(each)]:
        output.table(
            f"Lost {len(lost):,}",
            ["id", "when", "job"],
            [(each.id, _when(each), each.job_id) for each in lost],
        )


def _when(failure: IngestFailure) -> str:
    time = failure.fail_time
    return "" if time is None else time.isoformat(timespec="seconds")


def _neighbour(failure: IngestFailure) -> tuple[str, str]:
    near = failure.near_duplicate
    return ("", "") if near is None else (near.id, f"{near.score:.4f}")


def _hints(found: Sequence[IngestFailure], *, retry: bool, store_duplicates: bool) -> Sequence[str]:
    """Say what was left out of a retry and how it is stored; else what can be done at all."""
    failed = sum(map(_is_failed, found))
    duplicates, lost = sum(map(_is_duplicate, found)), sum(map(_is_lost, found))
    hints = []
    if failed and not (retry or store_duplicates):
        hints.append(f"{failed:,} failed: `--retry` queues them again")
    if duplicates and not store_duplicates:
        hints.append(
            f"{duplicates:,} rejected as duplicates: `--store-duplicates` stores them all the same"
        )
    if lost:
        hints.append(
            f"{lost:,} lost by the queue's server: `lookalike index` sends just those again"
        )
    return hints
