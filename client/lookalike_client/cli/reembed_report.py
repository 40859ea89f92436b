"""What `lookalike reembed` says: how far it is, and what comes next."""

from __future__ import annotations

import dataclasses
from collections.abc import Sized

from lookalike_client import Client
from lookalike_client.cli import reembed_checks as checks
from lookalike_client.cli.output import Output
from lookalike_client.moving.comparing import Comparison
from lookalike_client.moving.filling import Filled
from lookalike_client.moving.lacking import Lacking, lacking
from lookalike_client.types import Reembedding

_SHOWN = 5


def tell(
    output: Output, client: Client, alias: str, pair: Reembedding, filled: Filled | None = None
) -> None:
    """Print how far a pair is, what became of a run that filled it, and the next step."""
    leads_to = checks.led_to(client, alias)
    found = lacking(client, pair.target) if pair.target_missing else Lacking()
    following = next_step(alias, pair, leads_to, failed=bool(found.failed))
    if output.as_json:
        document: dict[str, object] = {
            **dataclasses.asdict(pair),
            "alias": alias,
            "leads_to": leads_to,
        }
        if filled is not None:
            document["queued_now"] = filled.queued
            document["without_file"] = filled.without_file
            document["refused"] = {id: error.message for id, error in filled.refused.items()}
        document["failed"] = {
            id: {"reason": each.error.reason.name, "message": each.error.message,
                 "tries": each.attempts}
            for id, each in found.failed.items()
        }  # fmt: skip
        document["not_sent"] = list(found.not_sent)
        output.document({**document, "next": following})
        return
    facts = {
        "old": f"{pair.source}, {pair.source_items:,} items",
        "new": f"{pair.target}, {pair.target_items:,} items",
        alias: f"leads to {leads_to}",
    }
    if wrong := checks.damage_of(pair):
        facts |= {f"{name} is damaged": what for name, what in wrong.items()}
    else:
        facts["on their way"] = f"{pair.target_queued:,} images"
        if pair.source_only_queued:
            facts["queued for the old alone"] = f"{pair.source_only_queued:,} images"
        facts["missing in the new"] = f"{pair.target_missing:,} items"
        facts["missing in the old"] = f"{pair.source_missing:,} items"
    output.facts(facts | _details(found, filled))
    output.paragraph(f"next: {following}")


def _details(found: Lacking, filled: Filled | None) -> dict[str, str]:
    """Say of items why they are missing; those of a run that it could not send, first."""
    facts: dict[str, str] = {}
    told: set[str] = set()
    if filled is not None:
        facts["queued now"] = f"{filled.queued:,} images"
        if filled.without_file:
            facts["without a file"] = _some(filled.without_file)
        for id, error in list(filled.refused.items())[:_SHOWN]:
            facts[f"refused: {id}"] = f"{error.message} ({_times(filled.tries[id])})"
        _tell_more(facts, "refused", filled.refused)
        told = {*filled.without_file, *filled.refused}
    for id, failure in list(found.failed.items())[:_SHOWN]:
        facts[f"failed: {id}"] = f"{failure.error.message} ({_times(failure.attempts)})"
    _tell_more(facts, "failed", found.failed)
    not_sent = {id: count for id, count in found.not_sent.items() if id not in told}
    if not_sent:
        facts["not sent"] = _some([_pictures(*each) for each in not_sent.items()])
    return facts


def _tell_more(facts: dict[str, str], what: str, of: Sized) -> None:
    if len(of) > _SHOWN:
        facts[what] = f"{len(of) - _SHOWN:,} more"


def _pictures(id: str, count: int) -> str:
    return f"{id} ({count} pictures)" if count > 1 else id


def _times(tries: int) -> str:
    return {0: "not sent", 1: "tried once"}.get(tries, f"tried {tries:,} times")


def next_step(alias: str, pair: Reembedding, leads_to: str, *, failed: bool = False) -> str:
    """Say what comes next; `failed`: some of what is missing was tried."""
    command = "`lookalike reembed"
    if wrong := checks.damage_of(pair):
        return _next_of_damaged(alias, pair, leads_to, wrong)
    start = f"{command} start {alias} --images FOLDER`"
    missing = f" --allow-missing` goes on without those {pair.target_missing:,}"
    if leads_to == pair.target:
        back = f"until then {command} rollback {alias}` goes back"
        if pair.target_missing:
            return (
                f"{start} sends what is missing from its originals; {command} "
                f"finish {alias} --allow-missing` deletes {pair.source} and with it those "
                f"{pair.target_missing:,}; {back}"
            )
        return f"{command} finish {alias}` deletes {pair.source}; {back}"
    if checks.much(pair.source_only_queued, pair.source_items):
        return f"{start} again, which queues for both what was queued before"
    if checks.much(pair.target_queued, pair.source_items):
        return f"wait: {command} status {alias}` says when they are there"
    if pair.target_missing:
        retry = f"`lookalike failures -c {pair.target} --retry` tries those again that failed; "
        return (
            f"{start} again, with the folder of the originals that are missing; "
            f"{retry if failed else ''}{command} switch {alias}{missing}"
        )
    if pair.target_queued:
        return f"wait: {command} status {alias}` says when they are there"
    return (
        f"{command} compare {alias}`, then {command} switch {alias}`; "
        f"{command} abort {alias}` gives up"
    )


def _next_of_damaged(alias: str, pair: Reembedding, leads_to: str, wrong: dict[str, str]) -> str:
    command = "`lookalike reembed"
    if len(wrong) > 1:
        return f"{command} abort {alias} --keep` ends the move and deletes neither"
    if pair.source_damage:
        finish = f"{command} finish {alias} --allow-missing` deletes {pair.source}"
        if leads_to == pair.target:
            return f"{finish}; nobody knows what {pair.target} lacks of it"
        return (
            f"{command} switch {alias} --allow-missing`, then {finish}: nobody knows what "
            f"{pair.target} lacks of it"
        )
    abort = f"{command} abort {alias}` deletes {pair.target}"
    if leads_to == pair.source:
        return abort
    return (
        f"{command} rollback {alias} --allow-missing`, then {abort}: nobody knows what "
        f"{pair.source} lacks of it"
    )


def tell_comparison(output: Output, alias: str, pair: Reembedding, found: Comparison) -> None:
    """Print how the answers of the two collections differ."""
    allowing = " --allow-missing" if pair.target_missing else ""
    following = (
        f"`lookalike reembed switch {alias}{allowing}`, or `lookalike reembed abort {alias}`"
    )
    if pair.target_missing:
        following = f"`lookalike reembed status {alias}` says what is missing; {following}"
    if output.as_json:
        document = {
            **dataclasses.asdict(found),
            "source": pair.source,
            "target": pair.target,
            "target_missing": pair.target_missing,
        }
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
    facts["missing in the new"] = f"{pair.target_missing:,} items"
    output.facts(facts)
    output.paragraph(f"next: {following}")


def tell_end(output: Output, alias: str, kept: str, removed: str, items: int) -> None:
    """Print that a pair was ended."""
    if output.as_json:
        document = {"alias": alias, "collection": kept, "deleted": removed}
        output.document({**document, "deleted_items": items})
    else:
        output.text(f"deleted {removed} with {items:,} items; {alias} leads to {kept}")


def tell_kept(output: Output, client: Client, alias: str, pair: Reembedding) -> None:
    """Print that a pair was ended, and both collections stay."""
    leads_to = checks.led_to(client, alias)
    if output.as_json:
        output.document({"alias": alias, "collection": leads_to, "deleted": None})
    else:
        output.text(f"{pair.source} and {pair.target} go on alone; {alias} leads to {leads_to}")


def tell_no_pair(output: Output, client: Client, alias: str) -> None:
    """Print that there is nothing to end, as after an end that was broken off."""
    kept = checks.led_to(client, alias)
    if output.as_json:
        document = {"alias": alias, "collection": kept, "deleted": None}
        output.document({**document, "deleted_items": 0})
    else:
        led = "" if kept == alias else f" leads to {kept}, which"
        output.text(f"nothing to finish: {alias}{led} is not being moved")


def _some(ids: list[str]) -> str:
    shown = ", ".join(ids[:_SHOWN])
    return f"{len(ids):,} items: {shown}" + (", …" if len(ids) > _SHOWN else "")
