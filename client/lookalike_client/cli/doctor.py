"""`lookalike doctor`."""

from __future__ import annotations

import click

from lookalike_client import examination
from lookalike_client.cli.session import Session, connected
from lookalike_client.findings import Level


@click.command()
@connected
def doctor(session: Session) -> int:
    """Check a deployment, and say what to change.

    Asks the search service for its collections, its embedders, its queue and the workers, and
    looks when certificates and the API key expire: what has less than 30 days is warned of.
    Changes nothing. The exit code is 1 where something fails; warnings leave it at 0.
    """
    settings = session.settings
    found = []
    with session.client() as client:
        for each in examination.examine(client, settings.address, tls=settings.tls):
            found.append(each)
            if not session.output.as_json:
                session.output.text(f"{each.level.value:8} {each.about}: {each.text}")
                if each.advice:
                    session.output.text(f"{'':8} → {each.advice}")
    worst = [each.level for each in found]
    if session.output.as_json:
        findings = [
            {
                "level": each.level.value,
                "about": each.about,
                "text": each.text,
                "advice": each.advice,
            }
            for each in found
        ]
        session.output.document({"address": settings.address, "findings": findings})
    return 1 if Level.FAILURE in worst else 0
