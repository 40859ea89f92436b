"""What `lookalike reembed` says: how far it is, and what comes next."""

from __future__ import annotations

import dataclasses

from lookalike_client import Client
from lookalike_client.cli.output import Output
from lookalike_client.moving.comparing import Comparison
from lookalike_client.moving.filling import Filled
from lookalike_client.types import Reembedding

_SHOWN = 5


def tell(
    output: Output, client: Client, alias: str, pair: Reembedding, filled: Filled | None = None
) -> None:
    """Print how far a pair is, what became of a run that filled it, and the next step."""
    leads_to = client.collections.get(alias).name
    following = next_step(alias, pair, leads_to)
    if output.as_json:
        document = {**dataclasses.asdict(pair), "alias": alias, "leads_to": leads_to}
        if filled is not None:
            document["queued_now"] = filled.queued
            document["without_file"] = filled.without_file
            document["refused"] = {id: error.message for id, error in filled.refused.items()}
        output.document({**document, "next": following})
        return
    facts = {
        "old": f"{pair.source}, {pair.source_items:,} items",
        "new": f"{pair.target}, {pair.target_items:,} items",
        alias: f"leads to {leads_to}",
        "on their way": f"{pair.target_queued:,} images",
        "missing in the new": f"{pair.target_missing:,} items",
        "missing in the old": f"{pair.source_missing:,} items",
    }
    if filled is not None:
        facts["queued now"] = f"{filled.queued:,} images"
        if filled.without_file:
            facts["without a file"] = _some(filled.without_file)
        for id, error in list(filled.refused.items())[:_SHOWN]:
            facts[f"refused: {id}"] = error.message
    output.facts(facts)
    output.paragraph(f"next: {following}")


def next_step(alias: str, pair: Reembedding, leads_to: str) -> str:
    """Say what comes next."""
    if leads_to == pair.target:
        return (
            f"`lookalike reembed finish {alias}` deletes {pair.source}; until then "
            f"`lookalike reembed rollback {alias}` goes back"
        )
    if pair.target_missing:
        return (
            f"`lookalike reembed start {alias}` again, with the folder of the originals that are "
            f"missing; `lookalike failures -c {pair.target}` lists those that failed"
        )
    if pair.target_queued:
        return f"wait: `lookalike reembed status {alias}` says when they are there"
    return (
        f"`lookalike reembed compare {alias}`, then `lookalike reembed switch {alias}`; "
        f"`lookalike reembed abort {alias}` gives up"
    )


def tell_comparison(output: Output, alias: str, pair: Reembedding, found: Comparison) -> None:
    """Print how the answers of the two collections differ."""
    following = f"`lookalike reembed switch {alias}`, or `lookalike reembed abort {alias}`"
    if output.as_json:
        document = {**dataclasses.asdict(found), "source": pair.source, "target": pair.target}
        output.document({**document, "next": following})
        return
    facts = {
        "queries": f"{found.queries:,} items, {found.limit} hits each",
        "same hits": f"{found.overlap:.3f}",
        "same hits, worst tenth": f"{found.worst_overlap:.3f}",
        "same first hit": f"{found.same_first:.3f}",
        "recall of the graph, old": f"{found.source_recall:.3f}",
        "recall of the graph, new": f"{found.target_recall:.3f}",
        "median search, old": f"{found.source_median_s * 1000:.2f} ms",
        "median search, new": f"{found.target_median_s * 1000:.2f} ms",
    }
    if found.source_precision is not None and found.target_precision is not None:
        facts["same label, old"] = f"{found.source_precision:.3f}"
        facts["same label, new"] = f"{found.target_precision:.3f}"
        facts["queries with a label"] = f"{found.labelled:,}"
    output.facts(facts)
    output.paragraph(f"next: {following}")


def tell_end(output: Output, alias: str, kept: str, removed: str, items: int) -> None:
    """Print that a pair was ended."""
    if output.as_json:
        document = {"alias": alias, "collection": kept, "deleted": removed}
        output.document({**document, "deleted_items": items})
    else:
        output.text(f"deleted {removed} with {items:,} items; {alias} leads to {kept}")


def tell_no_pair(output: Output, client: Client, alias: str) -> None:
    """Print that there is nothing to end, as after an end that was broken off."""
    kept = client.collections.get(alias).name
    if output.as_json:
        document = {"alias": alias, "collection": kept, "deleted": None}
        output.document({**document, "deleted_items": 0})
    else:
        output.text(f"nothing to finish: {alias} leads to {kept}, which is not being moved")


def _some(ids: list[str]) -> str:
    shown = ", ".join(ids[:_SHOWN])
    return f"{len(ids):,} items: {shown}" + (", …" if len(ids) > _SHOWN else "")
