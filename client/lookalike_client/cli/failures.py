"""`lookalike failures`."""

from __future__ import annotations

import click

from lookalike_client.cli.session import Session, connected


@click.command()
@click.option("-c", "--collection", default="", help="Only of this collection.")
@click.option("--retry", is_flag=True, help="Queue all of them again.")
@connected
def failures(session: Session, collection: str, retry: bool) -> None:
    """List images that were given up, newest first, with the reason."""
    with session.client() as client:
        found = list(client.failures(collection))
        retried = client.retry_failures([each.failure_id for each in found]) if retry else None
    if session.output.as_json:
        document: dict[str, object] = {"failures": found}
        if retried is not None:
            document["retried"] = retried.retried
        session.output.document(document)
        return
    if not found:
        session.output.text("no failures")
        return
    session.output.table(
        "Failures",
        ["id", "reason", "message", "tries>", "when", "job"],
        [
            (
                each.id,
                each.error.reason.name,
                each.error.message,
                each.attempts,
                each.fail_time.isoformat(timespec="seconds") if each.fail_time else "",
                each.job_id,
            )
            for each in found
        ],
    )
    if retried is not None:
        session.output.text(f"queued {retried.retried} again")
