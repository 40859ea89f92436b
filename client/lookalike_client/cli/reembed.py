"""`lookalike reembed`: moves a collection to another model while it is used."""

from __future__ import annotations

from pathlib import Path

import click

from lookalike.wire.errors import NotFound
from lookalike_client import Client
from lookalike_client.cli import reembed_checks as checks
from lookalike_client.cli import reembed_report as report
from lookalike_client.cli.reembed_starting import Teller, arrived, originals_of, paired
from lookalike_client.cli.session import Session, confirm, connected
from lookalike_client.moving.comparing import compare as compare_answers
from lookalike_client.moving.filling import fill
from lookalike_client.types import Reembedding

_alias = click.argument("alias")
_allow_missing = click.option(
    "--allow-missing",
    is_flag=True,
    help="Although items lack a picture there, or nobody knows which do: they are not found.",
)
_yes = click.option("--yes", is_flag=True, help="Do not ask.")


@click.group()
@connected
def reembed(session: Session) -> None:
    """Move a collection to another model while it is searched and written.

    ALIAS is the name that its users give: it leads to the old collection, and after
    `switch` to the new one. A collection's own name becomes an alias of it. The order is
    start, compare, switch, finish; each step says what comes next, and can be made again
    when it was broken off.
    """


@reembed.command()
@_alias
@click.option(
    "--model", help="Name or fingerprint of the new model; once it has begun, not needed."
)
@click.option(
    "--images",
    required=True,
    multiple=True,
    type=click.Path(exists=True, path_type=Path),
    help="Folder of the originals; may be given more than once.",
)
@click.option("--prefix", default="", help="What was put before their ids.")
@click.option(
    "--metadata-csv",
    "table",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Table that says which files are of one item, with --item-column.",
)
@click.option(
    "--item-column", metavar="NAME", help="Its column with the ids of items; as of `index`."
)
@click.option(
    "--name", help="Of the new collection.  [default: that of the old one, with the next number]"
)
@click.option(
    "--accept-changed", is_flag=True, help="Take the file of an id although it was another one."
)
@click.option("--no-wait", is_flag=True, help="End when all is queued.")
@connected
def start(
    session: Session,
    alias: str,
    model: str | None,
    images: tuple[Path, ...],
    prefix: str,
    table: Path | None,
    item_column: str | None,
    name: str | None,
    accept_changed: bool,
    no_wait: bool,
) -> None:
    """Make the new collection, have both take all changes, and fill the new one.

    Made again, it goes on where it was broken off, and sends what is missing since. What
    cannot be sent, or is refused, is named at the end, and the others go on.
    """
    originals = originals_of(images, prefix, table, item_column)
    with session.client() as client:
        pair = paired(client, alias, model, name)
        filled = fill(
            client, pair.target, originals, accept_changed=accept_changed, progress=Teller()
        )
        pair = client.reembeddings.get(pair.target)
        if not no_wait:
            pair = arrived(client, pair)
        report.tell(session.output, client, alias, pair, filled)


@reembed.command()
@_alias
@connected
def status(session: Session, alias: str) -> None:
    """Say how far it is, and what comes next."""
    with session.client() as client:
        report.tell(session.output, client, alias, _pair_of(client, alias))


@reembed.command()
@_alias
@click.option("--sample", default=200, show_default=True, type=click.IntRange(1, 100_000))
@click.option("-k", "limit", default=10, show_default=True, type=click.IntRange(1, 1000))
@click.option("--label", default="", help="Metadata field: which share of the hits has the same.")
@click.option("--seed", default=0, show_default=True, type=int)
@connected
def compare(session: Session, alias: str, sample: int, limit: int, label: str, seed: int) -> None:
    """Search both collections for the same items, and say how their answers differ."""
    with session.client() as client:
        pair = _pair_of(client, alias)
        checks.hold_sound(alias, pair)
        found = compare_answers(
            client, pair.source, pair.target, sample=sample, limit=limit, label=label, seed=seed
        )
        if found is None:
            raise click.ClickException(
                f"{pair.target} has no items yet: `lookalike reembed start {alias}` fills it"
            )
        report.tell_comparison(session.output, alias, pair, found)


@reembed.command()
@_alias
@_allow_missing
@connected
def switch(session: Session, alias: str, allow_missing: bool) -> None:
    """Point ALIAS at the new collection. Both still take all changes."""
    with session.client() as client:
        pair = _pair_of(client, alias)
        checks.hold_alias(client, alias)
        checks.hold_may_lead(
            pair, "target", allow_missing, f"`lookalike reembed abort {alias}` deletes it"
        )
        client.collections.set_alias(alias, pair.target)
        report.tell(session.output, client, alias, client.reembeddings.get(pair.target))


@reembed.command()
@_alias
@_allow_missing
@connected
def rollback(session: Session, alias: str, allow_missing: bool) -> None:
    """Point ALIAS at the old collection again, with all that was written since."""
    with session.client() as client:
        pair = _pair_of(client, alias)
        checks.hold_alias(client, alias)
        checks.hold_may_lead(
            pair,
            "source",
            allow_missing,
            f"`lookalike reembed finish {alias} --allow-missing` deletes it",
        )
        client.collections.set_alias(alias, pair.source)
        report.tell(session.output, client, alias, client.reembeddings.get(pair.source))


@reembed.command()
@_alias
@_allow_missing
@_yes
@connected
def finish(session: Session, alias: str, allow_missing: bool, yes: bool) -> None:
    """Delete the old collection; there is no way back from it."""
    with session.client() as client:
        try:
            pair = client.reembeddings.get(alias)
        except NotFound:
            client.collections.get(alias)  # a name that is none is refused
            report.tell_no_pair(session.output, client, alias)
            return
        checks.hold_leads(client, alias, pair.target, "switch first: `lookalike reembed switch {}`")
        checks.hold_no_aliases(client, pair.source)
        checks.hold_may_stay(
            pair.target,
            pair.target_damage,
            f"`lookalike reembed rollback {alias}` and `abort` keep {pair.source}",
            alias,
        )
        checks.hold_given_up(alias, pair, allow_missing=allow_missing)
        if not yes:
            confirm(f"Delete {pair.source}, the old collection, with its items?")
        ended = client.reembeddings.end(pair.target, delete_collection=pair.source)
    report.tell_end(session.output, alias, pair.target, pair.source, ended.deleted_items)


@reembed.command()
@_alias
@click.option("--keep", is_flag=True, help="Leave both as they are: each goes on alone.")
@_yes
@connected
def abort(session: Session, alias: str, keep: bool, yes: bool) -> None:
    """Delete the new collection, and leave the old one as it is."""
    with session.client() as client:
        pair = _pair_of(client, alias)
        if keep:
            if not yes:
                confirm(f"Keep {pair.source} and {pair.target}, each without the other's changes?")
            client.reembeddings.end(pair.target)
            report.tell_kept(session.output, client, alias, pair)
            return
        checks.hold_leads(
            client, alias, pair.source, "go back first: `lookalike reembed rollback {}`"
        )
        checks.hold_no_aliases(client, pair.target)
        checks.hold_may_stay(
            pair.source,
            pair.source_damage,
            f"`lookalike reembed switch {alias} --allow-missing` and `finish` keep {pair.target}",
            alias,
        )
        if not yes:
            confirm(f"Delete {pair.target}, the new collection, with its items?")
        ended = client.reembeddings.end(pair.source, delete_collection=pair.target)
    report.tell_end(session.output, alias, pair.source, pair.target, ended.deleted_items)


def _pair_of(client: Client, alias: str) -> Reembedding:
    """Return the pair that a name leads to.

    Raises:
        click.ClickException: it leads to none.
    """
    try:
        return client.reembeddings.get(alias)
    except NotFound:
        leads_to = client.collections.get(alias).name  # a name that is none is refused
        raise click.ClickException(
            f"{leads_to} is not being moved: `lookalike reembed start {alias} --model MODEL "
            "--images FOLDER` begins that"
        ) from None
