"""`lookalike search`, `facets` and `recall`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from lookalike_client.cli.output import metadata_text
from lookalike_client.cli.ranked import (
    add_ranking,
    document_of,
    lacking_text,
    parts_text,
    query_of,
    ranking_options,
    target_options,
)
from lookalike_client.cli.session import DEFAULT_COLLECTION, Session, connected, one_collection
from lookalike_client.requests import SearchOptions
from lookalike_client.types import Hit, SearchResult


@click.command()
@click.argument(
    "image", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option("--id", "item_id", help="Look for what looks like this stored item.")
@click.option("-c", "--collection", default="images", show_default=True, help="Name or alias.")
@click.option("-k", "--limit", default=10, show_default=True, type=click.IntRange(1, 10_000))
@click.option("--filter", "condition", help="Such as: category = 'shoes' and price < 50")
@click.option("--exact", is_flag=True, help="Scan everything instead of using the graph.")
@click.option("--min-score", type=click.FloatRange(-1, 1), help="Least cosine of a hit.")
@click.option("--group-by", default="", help="Metadata field; -k then counts groups.")
@click.option(
    "--per-group", default=1, show_default=True, type=click.IntRange(1, 100), help="Hits a group."
)
@click.option("--page", type=click.IntRange(min=1), help="Show this page, of -k hits each.")
@click.option("--after", default="", metavar="TOKEN", help="The page after the one that told it.")
@click.option("--explain", is_flag=True, help="Say what was done.")
@click.option("--allow-partial", is_flag=True, help="On a cluster: without parts that are away.")
@target_options
@ranking_options
@connected
def search(
    session: Session,
    image: Path | None,
    item_id: str | None,
    collection: str,
    limit: int,
    condition: str | None,
    exact: bool,
    min_score: float | None,
    group_by: str,
    per_group: int,
    page: int | None,
    after: str,
    explain: bool,
    allow_partial: bool,
    text: str,
    text_weight: float | None,
    like: tuple[str, ...],
    unlike: tuple[str, ...],
    best_score: bool,
    boosts: tuple[str, ...],
    diverse: float,
    candidates: int,
    by: tuple[str, ...],
) -> None:
    """Find what looks like IMAGE, like the item --id, like examples: --like; or as --text says.

    A page tells how to go on. --page looks for all pages up to it again, of what is
    stored then; --after TOKEN goes on where a page ended, whatever has changed since.
    """
    query, name = query_of(
        image,
        item_id,
        like,
        unlike,
        best_score=best_score,
        text=text,
        text_weight=text_weight,
    )
    paged = page is not None or bool(after)
    if (page is not None and after) or (paged and group_by):
        raise click.UsageError("Give one of --page, --after and --group-by.")
    options = SearchOptions(limit=limit, filter=condition, exact=exact, min_score=min_score)
    options["explain"], options["allow_partial"] = explain, allow_partial
    if group_by:
        options["group_by"], options["hits_per_group"] = group_by, per_group
    add_ranking(options, boosts, diverse, candidates, by)
    with session.client() as client:
        if paged:
            found = client.search_pages(collection, query, page_token=after, **options)
            result = _page(found, page or 1)
        else:
            result = client.search(collection, query, **options)
    if session.output.as_json:
        _print_json(session, collection, result, paged=paged)
    else:
        _print_table(session, name, result, ((page or 1) - 1) * limit)
        if result.partial is not None:
            session.output.paragraph(f"note: {lacking_text(result.partial)}")
        if result.next_page_token:
            way = f"--after {result.next_page_token}" if after else f"--page {(page or 1) + 1}"
            session.output.text(f"there is more: {way}")
        if group_by and not result.groups:
            session.output.text(f"(no item that qualifies has the field {group_by})")


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
    if not found.values and found.missing:
        among = "item that meets the filter" if condition else "item"
        session.output.text(f"no {among} has the field {field} ({found.missing:,} looked at)")
        return
    rows = [(_value(value), f"{count:,}") for value, count in found.counts]
    session.output.table(f"{field}, {found.values:,} values", ["value", "items>"], rows)
    session.output.facts(
        {
            "items": f"{found.items:,}",
            "with another value only": f"{found.other:,}",
            "without a value": f"{found.missing:,}",
        }
    )


@click.command()
@click.argument("collection", required=False)
@click.option("-c", "--collection", "named", help="The same; images if absent.")
@click.option("--sample", default=200, show_default=True, type=click.IntRange(1, 10_000))
@click.option("-k", "--limit", default=10, show_default=True, type=click.IntRange(1, 1000))
@click.option(
    "--expansion", multiple=True, type=click.IntRange(16, 4000), help="May be given again."
)
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0))
@connected
def recall(
    session: Session,
    collection: str | None,
    named: str | None,
    sample: int,
    limit: int,
    expansion: tuple[int, ...],
    seed: int,
) -> None:
    """Measure what the graph misses: stored vectors as queries, against an exact scan."""
    collection = one_collection(collection, named, DEFAULT_COLLECTION)
    with session.client() as client:
        measured = client.collections.measure_recall(
            collection, sample_size=sample, limit=limit, expansion_search=expansion, seed=seed
        )
    if session.output.as_json:
        session.output.document({"collection": collection, "measurements": measured})
        return
    session.output.table(
        f"Recall of {collection}, {measured[0].queries if measured else 0} queries",
        [
            *("expansion>", f"recall@{limit}>", "least>", "self-misses>"),
            *("median ms>", "exact ms>"),
        ],
        [
            (
                each.expansion_search or "exact",
                f"{each.recall:.4f}",
                f"{each.least_recall:.3f}",
                each.self_misses,
                f"{each.median_s * 1e3:.2f}",
                f"{each.median_exact_s * 1e3:.2f}",
            )
            for each in measured
        ],
    )


def _page(found: Iterator[SearchResult], number: int) -> SearchResult:
    """Return a page by its number, from 1.

    Raises:
        click.ClickException: there are not so many.
    """
    count = 0
    for count, result in enumerate(found, 1):
        if count == number:
            return result
    raise click.ClickException(f"there is no page {number}: the last is {count}")


def _value(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _print_json(session: Session, collection: str, result: SearchResult, *, paged: bool) -> None:
    document: dict[str, object] = {
        "hits": _hits(result.hits),
        "collection": collection,
        "plan_kind": result.plan_kind,
    }
    if result.groups:
        document["groups"] = [
            {"value": group.value, "hits": _hits(group.hits)} for group in result.groups
        ]
    if paged:
        document["next_page_token"] = result.next_page_token
    if result.plan is not None:
        document["plan"] = result.plan
    if result.partial is not None:
        document["partial"] = result.partial
    session.output.document(document)


def _hits(hits: Sequence[Hit]) -> list[dict[str, object]]:
    return [
        {"id": hit.id, "score": hit.score, **document_of(hit), "metadata": hit.metadata}
        for hit in hits
    ]


def _print_table(session: Session, what: str, result: SearchResult, before: int) -> None:
    """Print hits, of which so many stood on the pages before; or groups."""
    if not result.hits and not result.groups:
        session.output.text("nothing found")
    elif result.groups:
        rows_by_group = [
            (_value(group.value), f"{hit.score:.4f}", hit.id)
            for group in result.groups
            for hit in group.hits
        ]
        session.output.table(f"Like {what}", ["group", "score>", "id"], rows_by_group)
    elif result.hits[0].rank_score is not None:
        ranked = [
            (rank, f"{hit.rank_score:.4f}", parts_text(hit), hit.id, metadata_text(hit.metadata))
            for rank, hit in enumerate(result.hits, 1)
        ]
        columns = [
            "#>",
            "rank score>",
            "parts" if result.plan is not None else "likeness",
            "id",
            "metadata",
        ]
        session.output.table(f"Like {what}", columns, ranked)
    else:
        rows = [
            (rank, f"{hit.score:.4f}", hit.id, metadata_text(hit.metadata))
            for rank, hit in enumerate(result.hits, before + 1)
        ]
        session.output.table(f"Like {what}", ["#>", "score>", "id", "metadata"], rows)
    if result.plan is not None:
        plan = result.plan
        session.output.facts(
            {
                "plan": plan.kind.value,
                "items": f"{plan.items:,}",
                "meeting the filter": f"{plan.filter_matches:,}",
                "compared exactly": f"{plan.candidates:,}",
                "expansion": plan.expansion_search,
                "queries in the same call": plan.gathered_queries,
                **_ranked_facts(result),
                "ms to embed, filter, wait, search": ", ".join(
                    f"{seconds * 1e3:.2f}"
                    for seconds in (plan.embed_s, plan.filter_s, plan.wait_s, plan.search_s)
                ),
            }
        )
        for remark in plan.filter_remarks:
            session.output.paragraph(f"note: {remark}")


def _ranked_facts(result: SearchResult) -> dict[str, object]:
    if result.plan is None or not result.hits or result.hits[0].rank_score is None:
        return {}
    more = "no other item could be a hit" if result.plan.ranking_complete else "more may change it"
    return {"hits chosen from": f"{result.plan.ranked_candidates:,} candidates, {more}"}
