"""What `lookalike reembed` holds before a step that would lose something."""

from __future__ import annotations

from typing import Literal

import click

from lookalike_client import Client
from lookalike_client.types import Reembedding

# Of what is on its way, a thousandth of the items is what writers send at any time.
_LITTLE, _LITTLE_SHARE = 64, 0.001


def much(queued: int, items: int) -> bool:
    """Say whether more is on its way than writers send at any time."""
    return queued > max(_LITTLE, items * _LITTLE_SHARE)


def damage_of(pair: Reembedding) -> dict[str, str]:
    """Say by name what is wrong with the collections of a pair; nothing where nothing is."""
    wrong = {pair.source: pair.source_damage, pair.target: pair.target_damage}
    return {name: what for name, what in wrong.items() if what}


def led_to(client: Client, name: str) -> str:
    """Return the name of the collection that a name leads to; its own one that is no alias.

    It is asked of the aliases, as a damaged collection says nothing of itself.
    """
    found = {each.alias: each.collection for each in client.collections.aliases()}
    return found.get(name, name)


def hold_sound(alias: str, pair: Reembedding) -> None:
    """Hold that both collections can be read whole.

    Raises:
        click.ClickException: one is damaged.
    """
    for name in damage_of(pair):
        raise click.ClickException(
            f"{name} is damaged: `lookalike reembed status {alias}` says what can be done"
        )


def hold_alias(client: Client, alias: str) -> None:
    """Hold that a name can be pointed elsewhere.

    Raises:
        click.ClickException: it is a collection's own.
    """
    aliases = {each.alias: each.collection for each in client.collections.aliases()}
    if alias not in aliases:
        others = [each for each, collection in aliases.items() if collection == alias]
        raise click.ClickException(
            f"{alias} is a collection's own name: give the alias that its users give"
            + (f", such as {others[0]}" if others else "; `lookalike reembed start` makes it one")
        )


def hold_may_lead(
    pair: Reembedding, to: Literal["source", "target"], allow_missing: bool, otherwise: str
) -> None:
    """Hold that a collection of a pair has what the other has, so that an alias may lead to it.

    Raises:
        click.ClickException: it has not, or is damaged: `otherwise` says what to do then.
    """
    if to == "target":
        name, damage, other, other_damage = (
            pair.target, pair.target_damage, pair.source, pair.source_damage,
        )  # fmt: skip
        missing, queued, items = pair.target_missing, pair.target_queued, pair.source_items
    else:
        name, damage, other, other_damage = (
            pair.source, pair.source_damage, pair.target, pair.target_damage,
        )  # fmt: skip
        missing, queued, items = pair.source_missing, pair.source_queued, pair.target_items
    if damage:
        raise click.ClickException(f"{name} is damaged: {otherwise}")
    if other_damage:
        if not allow_missing:
            raise click.ClickException(
                f"{other} is damaged, so that nobody knows what {name} lacks of it: with "
                "--allow-missing that is not found from now on"
            )
        return
    _hold_settled(pair)
    if to == "target" and much(pair.source_only_queued, items) and not allow_missing:
        raise click.ClickException(
            f"{pair.source_only_queued:,} images are queued for {other} alone: `lookalike reembed "
            "start` queues them for both; with --allow-missing they are not found from now on"
        )
    if much(queued, items) and not allow_missing:
        raise click.ClickException(
            f"{queued:,} images are still on their way to {name}: wait until they are there; with "
            "--allow-missing they are not found until then"
        )
    if missing and not allow_missing:
        raise click.ClickException(
            f"{name} lacks the pictures of {missing:,} items: `lookalike reembed start` sends them "
            "from their originals, and `status` says why they are missing; with --allow-missing "
            "they are not found from now on"
        )


def hold_given_up(alias: str, pair: Reembedding, *, allow_missing: bool) -> None:
    """Hold that nothing ends with the old collection, unless that is allowed.

    Raises:
        click.ClickException: the new one lacks pictures, or nobody knows.
    """
    if allow_missing:
        return
    if pair.source_damage:
        raise click.ClickException(
            f"{pair.source} is damaged, so that nobody knows what {pair.target} lacks of it: "
            f"`lookalike reembed finish {alias} --allow-missing` deletes it all the same"
        )
    if pair.source_only_queued:
        raise click.ClickException(
            f"{pair.source_only_queued:,} images are queued for {pair.source} alone, and end with "
            f"it: `lookalike reembed start {alias} --images FOLDER` queues them for {pair.target}; "
            "with --allow-missing they are given up"
        )
    if pair.target_missing:
        raise click.ClickException(
            f"{pair.target} lacks the pictures of {pair.target_missing:,} items, which end with "
            f"{pair.source}: `lookalike reembed start {alias} --images FOLDER` sends them from "
            "their originals; with --allow-missing they are given up"
        )


def hold_may_stay(name: str, damage: str, otherwise: str, alias: str) -> None:
    """Hold that the collection that stays is whole.

    Raises:
        click.ClickException: it is damaged; `otherwise` says how to keep the other one.
    """
    if damage:
        raise click.ClickException(
            f"{name}, which would stay alone, is damaged: {otherwise}; "
            f"`lookalike reembed abort {alias} --keep` ends the move and deletes neither"
        )


def hold_leads(client: Client, alias: str, wanted: str, otherwise: str) -> None:
    """Hold that an alias leads to a collection.

    Raises:
        click.ClickException: it leads elsewhere; `otherwise` says what to do.
    """
    found = led_to(client, alias)
    if found != wanted:
        raise click.ClickException(f"{alias} leads to {found}; " + otherwise.format(alias))


def hold_no_aliases(client: Client, name: str) -> None:
    """Hold that nobody is led to a collection that is about to be deleted."""
    if left := [each.alias for each in client.collections.aliases() if each.collection == name]:
        raise click.ClickException(
            f"{', '.join(left)} still lead to {name}: point them elsewhere with "
            "`lookalike collections alias`"
        )


def _hold_settled(pair: Reembedding) -> None:
    """Hold that deletions and metadata get from each collection to the other.

    Raises:
        click.ClickException: many do not.
    """
    if much(pair.unsettled, pair.source_items):
        raise click.ClickException(
            f"{pair.unsettled:,} deletions and changes of metadata have not been taken over yet: "
            "wait a moment; where their number stays, the log of the search service says why"
        )
