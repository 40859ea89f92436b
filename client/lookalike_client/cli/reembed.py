"""`lookalike reembed`: moves a collection to another model while it is used."""

from __future__ import annotations

import time
from pathlib import Path

import click

from lookalike.wire.errors import AlreadyExists, InvalidField, NotFound
from lookalike_client import Client
from lookalike_client.cli import reembed_checks as checks
from lookalike_client.cli import reembed_report as report
from lookalike_client.cli.output import complain
from lookalike_client.cli.session import Session, confirm, connected
from lookalike_client.indexing.scan import scan
from lookalike_client.moving.comparing import compare as compare_answers
from lookalike_client.moving.filling import Filled, Originals, fill
from lookalike_client.types import Collection, IndexSettings, Reembedding

_LOOK_EVERY_S = 0.5
# A look compares all ids: seconds of the service for a million. Most of the time is others'.
_LOOK_PAUSE = 9
_TOLD_EVERY_S = 5.0
# With writers there is always some; without them this is enough for the last few.
_LITTLE_WAIT_S = 5.0

_alias = click.argument("alias")
_allow_missing = click.option(
    "--allow-missing", is_flag=True, help="Although items lack a picture there: they are not found."
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
@click.option("--model", required=True, help="Name or fingerprint of the new model.")
@click.option(
    "--images",
    required=True,
    multiple=True,
    type=click.Path(exists=True, path_type=Path),
    help="Folder of the originals; may be given more than once.",
)
@click.option("--prefix", default="", help="What was put before their ids.")
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
    model: str,
    images: tuple[Path, ...],
    prefix: str,
    name: str | None,
    accept_changed: bool,
    no_wait: bool,
) -> None:
    """Make the new collection, have both take all changes, and fill the new one.

    Made again, it goes on where it was broken off, and sends what is missing since.
    """
    originals = Originals(scan(images, prefix=prefix, base=Path.cwd()).files)
    with session.client() as client:
        pair = _pair(client, alias, model, name)
        filled = fill(
            client,
            pair.target,
            originals,
            accept_changed=accept_changed,
            progress=_Teller(),
        )
        pair = client.reembeddings.get(pair.target)
        if not no_wait:
            pair = _arrived(client, pair)
        report.tell(session.output, client, alias, pair, filled)


@reembed.command()
@_alias
@connected
def status(session: Session, alias: str) -> None:
    """Say how far it is, and what comes next."""
    with session.client() as client:
        report.tell(session.output, client, alias, client.reembeddings.get(alias))


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
        pair = client.reembeddings.get(alias)
        found = compare_answers(
            client, pair.source, pair.target, sample=sample, limit=limit, label=label, seed=seed
        )
        if found is None:
            raise click.ClickException(f"{pair.target} has no items yet: fill it first")
        report.tell_comparison(session.output, alias, pair, found)


@reembed.command()
@_alias
@_allow_missing
@connected
def switch(session: Session, alias: str, allow_missing: bool) -> None:
    """Point ALIAS at the new collection. Both still take all changes."""
    with session.client() as client:
        pair = client.reembeddings.get(alias)
        checks.hold_settled(pair)
        checks.hold_full(
            pair.target, pair.target_missing, pair.target_queued, pair.source_items, allow_missing
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
        pair = client.reembeddings.get(alias)
        checks.hold_settled(pair)
        checks.hold_full(
            pair.source, pair.source_missing, pair.source_queued, pair.target_items, allow_missing
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
        client.collections.get(alias)  # a name that is none is refused
        try:
            pair = client.reembeddings.get(alias)
        except NotFound:
            report.tell_no_pair(session.output, client, alias)
            return
        checks.hold_leads(client, alias, pair.target, "switch first: `lookalike reembed switch {}`")
        checks.hold_no_aliases(client, pair.source)
        checks.hold_given_up(alias, pair, allow_missing=allow_missing)
        if not yes:
            confirm(f"Delete {pair.source}, the old collection, with its items?")
        ended = client.reembeddings.end(pair.target, delete_collection=pair.source)
    report.tell_end(session.output, alias, pair.target, pair.source, ended.deleted_items)


@reembed.command()
@_alias
@_yes
@connected
def abort(session: Session, alias: str, yes: bool) -> None:
    """Delete the new collection, and leave the old one as it is."""
    with session.client() as client:
        pair = client.reembeddings.get(alias)
        checks.hold_leads(
            client, alias, pair.source, "go back first: `lookalike reembed rollback {}`"
        )
        checks.hold_no_aliases(client, pair.target)
        if not yes:
            confirm(f"Delete {pair.target}, the new collection, with its items?")
        ended = client.reembeddings.end(pair.source, delete_collection=pair.target)
    report.tell_end(session.output, alias, pair.source, pair.target, ended.deleted_items)


class _Teller:
    """Says now and then how many are queued, on stderr."""

    def __init__(self) -> None:
        self._told_s = time.monotonic()

    def __call__(self, filled: Filled) -> None:
        if time.monotonic() >= self._told_s + _TOLD_EVERY_S:
            self._told_s = time.monotonic()
            complain(f"{filled.queued:,} images queued")


def _pair(client: Client, alias: str, model: str, name: str | None) -> Reembedding:
    """Return the pair of a collection; make it, and the new collection, where it is not there.

    Raises:
        InvalidField: the new collection does not suit.
    """
    source = client.collections.get(alias)
    own = f"{alias}.1" if alias == source.name else ""  # what the collection is called from then on
    try:
        pair = client.reembeddings.get(alias)
    except NotFound:
        pair = _paired(client, source, model, name or _next_name(own or source.name))
    else:
        if name not in (None, pair.target):
            raise InvalidField("name", f"{alias} is moving to {pair.target} already")
        pair = client.reembeddings.start(pair.source, pair.target)
    if own:  # last, so that nothing has another name where the move is refused
        client.reembeddings.rename(alias, own)
        complain(f"{alias} is an alias now, of the collection {own}")
        pair = client.reembeddings.get(alias)
    return pair


def _paired(client: Client, source: Collection, model: str, name: str) -> Reembedding:
    """Make a pair of `source` and a new collection, which goes again where that is refused."""
    target, made = _target(client, source, model, name)
    try:
        if target.model_fingerprint == source.model_fingerprint:
            raise InvalidField("model", f"{source.name} is of that very model")
        return client.reembeddings.start(source.name, target.name)
    except InvalidField:
        if made:
            client.collections.delete(target.name)
        raise


def _next_name(name: str) -> str:
    """Return the name after "photos.1", which is "photos.2", or after one without a number."""
    base, separator, number = name.rpartition(".")
    return f"{base}.{int(number) + 1}" if separator and number.isdecimal() else f"{name}.2"


def _target(client: Client, source: Collection, model: str, name: str) -> tuple[Collection, bool]:
    """Return the new collection, and whether it was made now; one that is there, such as an
    earlier run has made, is taken as it is."""
    index = source.index
    try:
        made = client.collections.create(
            name,
            model=model,
            index=IndexSettings(preset=index.preset),
            thumbnail_side_px=source.thumbnail_side_px,
        )
    except AlreadyExists:
        return client.collections.get(name), False
    return made, True


def _arrived(client: Client, pair: Reembedding) -> Reembedding:
    """Wait until what is queued for the new collection is there, but what writers send."""
    told_s = time.monotonic()
    little_s: float | None = None
    look_s = 0.0
    while pair.target_queued:
        if not checks.much(pair.target_queued, pair.source_items):
            little_s = little_s or time.monotonic()
            if time.monotonic() >= little_s + _LITTLE_WAIT_S:
                break
        time.sleep(max(_LOOK_EVERY_S, look_s * _LOOK_PAUSE))
        asked_s = time.monotonic()
        pair = client.reembeddings.get(pair.target)
        look_s = time.monotonic() - asked_s
        if time.monotonic() >= told_s + _TOLD_EVERY_S:
            told_s = time.monotonic()
            complain(f"{pair.target_queued:,} images on their way")
    return pair
