"""What `lookalike reembed` holds before a step that would lose something."""

from __future__ import annotations

import click

from lookalike_client import Client
from lookalike_client.types import Reembedding

# Of what is on its way, a thousandth of the items is what writers send at any time.
_LITTLE, _LITTLE_SHARE = 64, 0.001


def much(queued: int, items: int) -> bool:
    """Say whether more is on its way than writers send at any time."""
    return queued > max(_LITTLE, items * _LITTLE_SHARE)


def hold_full(name: str, missing: int, queued: int, items: int, allow_missing: bool) -> None:
    """Hold that a collection has what the other has.

    Raises:
        click.ClickException: it has not.
    """
    if much(queued, items):
        raise click.ClickException(
            f"{queued:,} images are still on their way to {name}: wait until they are there"
        )
    if missing and not allow_missing:
        raise click.ClickException(
            f"{name} lacks the pictures of {missing:,} items: `lookalike reembed start` sends them "
            "from their originals; with --allow-missing they are not found from now on"
        )


def hold_settled(pair: Reembedding) -> None:
    """Hold that deletions and metadata get from each collection to the other.

    Raises:
        click.ClickException: many do not.
    """
    if much(pair.unsettled, pair.source_items):
        raise click.ClickException(
            f"{pair.unsettled:,} deletions and changes of metadata have not been taken over yet: "
            "wait a moment; where their number stays, the log of the search service says why"
        )


def hold_given_up(alias: str, pair: Reembedding, *, allow_missing: bool) -> None:
    """Hold that nothing ends with the old collection, unless that is allowed.

    Raises:
        click.ClickException: the new one lacks pictures.
    """
    if pair.target_missing and not allow_missing:
        raise click.ClickException(
            f"{pair.target} lacks the pictures of {pair.target_missing:,} items, which end with "
            f"{pair.source}: `lookalike reembed start {alias}` sends them from their originals; "
            "with --allow-missing they are given up"
        )


def hold_leads(client: Client, alias: str, wanted: str, otherwise: str) -> None:
    """Hold that an alias leads to a collection.

    Raises:
        click.ClickException: it leads elsewhere; `otherwise` says what to do.
    """
    found = client.collections.get(alias)
    if found.name != wanted:
        raise click.ClickException(f"{alias} leads to {found.name}; " + otherwise.format(alias))


def hold_no_aliases(client: Client, name: str) -> None:
    """Hold that nobody is led to a collection that is about to be deleted."""
    if left := client.collections.get(name).aliases:
        raise click.ClickException(
            f"{', '.join(left)} still lead to {name}: point them elsewhere with "
            "`lookalike collections alias`"
        )
