"""`lookalike facets`."""

from __future__ import annotations

import json

import click

from lookalike_client.cli.session import Session, connected


@click.command()
@click.argument("field")
@click.option("-n", "--limit", default=10, show_default=True, type=click.IntRange(1, 1000))
@click.option("--filter", "condition", help="Only items that meet it, such as: price < 50")
@click.option("-c", "--collection", default="images", show_default=True, help="Name or alias.")
@connected
def facets(
    session: Session, field: str, limit: int, condition: str | None, collection: str
) -> None:
    """Count items by the values of the metadata field FIELD, such as camera.model."""
    with session.client() as client:
        found = client.facets(collection, field, filter=condition, limit=limit)
    if session.output.as_json:
        session.output.document(
            {
                "facets": [{"value": value, "count": count} for value, count in found.counts],
                "items": found.items,
                "missing": found.missing,
                "other": found.other,
                "values": found.values,
            }
        )
        return
    rows = [(json.dumps(value, ensure_ascii=False), f"{count:,}") for value, count in found.counts]
    session.output.table(f"{field}, {found.values:,} values", ["value", "items>"], rows)
    session.output.facts(
        {
            "items": f"{found.items:,}",
            "with another value only": f"{found.other:,}",
            "without a value": f"{found.missing:,}",
        }
    )
