"""`lookalike get`, `list` and `count`."""

from __future__ import annotations

from itertools import islice

import click

from lookalike_client.cli.output import metadata_text
from lookalike_client.cli.session import Session, connected
from lookalike_client.types import Fields, Item

_collection = click.option(
    "-c", "--collection", default="images", show_default=True, help="Name or alias."
)
_filter = click.option("--filter", "condition", help="Only items that meet it, such as: price < 50")


@click.command()
@click.argument("ids", nargs=-1, required=True)
@click.option("--vector", is_flag=True, help="With their vectors (in JSON).")
@_collection
@connected
def get(session: Session, ids: tuple[str, ...], vector: bool, collection: str) -> int:
    """Show items by id; exit code 1 if one is missing."""
    fields = Fields(metadata=True, facts=True, vector=vector)
    with session.client() as client:
        page = client.get(collection, ids, fields=fields)
    if session.output.as_json:
        session.output.document({"items": page.items, "missing_ids": page.missing_ids})
    else:
        for item in page.items:
            session.output.facts(_facts(item))
            session.output.text("")
        for missing in page.missing_ids:
            session.output.text(f"no item {missing!r}")
    return 1 if page.missing_ids else 0


@click.command("list")
@click.option("-n", "--limit", type=click.IntRange(min=1), help="Most items; all by default.")
@click.option("--order-by", default="", help="Metadata field to sort by; the id by default.")
@click.option("--desc", "descending", is_flag=True, help="Greatest first, with --order-by.")
@_filter
@_collection
@connected
def list_items(
    session: Session,
    limit: int | None,
    order_by: str,
    descending: bool,
    condition: str | None,
    collection: str,
) -> None:
    """List items by id or a metadata field; with --json one line an item."""
    if descending and not order_by:
        raise click.UsageError("--desc needs --order-by.")
    with session.client() as client:
        page_size = min(limit or 1000, 1000)
        found = client.list(
            collection,
            filter=condition,
            page_size=page_size,
            order_by=order_by,
            descending=descending,
        )
        items = islice(found, limit)
        if session.output.as_json:
            for item in items:
                session.output.document(
                    {"id": item.id, "metadata": item.metadata, "version": item.version}
                )
            return
        session.output.table(
            "", ["id", "metadata"], [(item.id, metadata_text(item.metadata)) for item in items]
        )


@click.command()
@_filter
@_collection
@connected
def count(session: Session, condition: str | None, collection: str) -> None:
    """Count items."""
    with session.client() as client:
        number = client.count(collection, filter=condition)
    if session.output.as_json:
        session.output.document({"count": number})
    else:
        session.output.text(str(number))


def _facts(item: Item) -> dict[str, object]:
    shown: dict[str, object] = {"id": item.id}
    if item.facts is not None:
        facts = item.facts
        shown["picture"] = (
            f"{facts.width_px} x {facts.height_px} {facts.format}, {facts.size_bytes:,} bytes"
        )
        shown["sha256"] = facts.sha256
    shown.update((f"metadata.{key}", value) for key, value in sorted(item.metadata.items()))
    if item.near_duplicate_of:
        shown["looks like"] = item.near_duplicate_of
    shown["version"] = item.version
    if item.update_time is not None:
        shown["changed"] = item.update_time.isoformat(timespec="seconds")
    return shown
