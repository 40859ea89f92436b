"""How `lookalike reembed start` makes a pair, and waits for what is on its way to it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import click

from lookalike.wire.errors import AlreadyExists, InvalidField, NotFound, Precondition
from lookalike_client import Client
from lookalike_client.cli import reembed_checks as checks
from lookalike_client.cli.output import complain
from lookalike_client.cli.stall import reason_of
from lookalike_client.indexing import matching, metadata_csv
from lookalike_client.indexing.gathering import gather
from lookalike_client.indexing.scan import scan
from lookalike_client.moving.filling import Filled
from lookalike_client.moving.originals import Originals
from lookalike_client.types import Collection, IndexSettings, Reembedding

_LOOK_EVERY_S = 0.5
# A look compares all ids: seconds of the service for a million. Most of the time is others'.
_LOOK_PAUSE = 9
_TOLD_EVERY_S = 5.0
# An image of a queue that moves takes seconds at most, however long it waited before.
_STILL_S = 60.0
# The service notes each second what of the queue has ended.
_NOTED_AFTER_S = 1.5
# What is left then is sent from its original, as all that is stored.
_BACKLOG_WAIT_S = 60.0


class Teller:
    """Says now and then how many are queued, on stderr."""

    def __init__(self) -> None:
        self._told_s = time.monotonic()

    def __call__(self, filled: Filled) -> None:
        """Print how far a run is, if the last line was a while ago."""
        waiting = f"; waiting: {filled.waiting}" if filled.waiting else ""
        self.tell(f"{filled.queued:,} images queued{waiting}")

    def tell(self, line: str) -> None:
        """Print a line, if the last one was a while ago."""
        if time.monotonic() >= self._told_s + _TOLD_EVERY_S:
            self._told_s = time.monotonic()
            complain(line)


def originals_of(
    images: Sequence[Path], prefix: str, table: Path | None, item_column: str | None
) -> Originals:
    """Find the files of folders; those of one item by a column of a table.

    Raises:
        click.UsageError: a column is given without a table, or the other way round.
        LookalikeError: the folders or the table cannot be read.
    """
    found = scan(images, prefix=prefix, base=Path.cwd())
    if (table is None) != (item_column is None):
        raise click.UsageError("--metadata-csv and --item-column are given together.")
    if table is None or item_column is None:
        return Originals(found.files)
    rows = metadata_csv.read(table, text_column=item_column)
    folders = (Path.cwd(), table.parent, *(path for path in images if path.is_dir()))
    matches = matching.match(rows, found.files, others=found.others, folders=folders)
    return Originals(gather(found.files, matches.said, item_column, prefix)[0])


def paired(client: Client, alias: str, model: str | None, name: str | None) -> Reembedding:
    """Return the pair of a collection; make it, and the new collection, where it is not there.

    Raises:
        InvalidField: the new collection does not suit.
        click.UsageError: a model is needed to make it.
        click.ClickException: one of the two is damaged.
    """
    source = client.collections.get(alias)
    own = f"{alias}.1" if alias == source.name else ""  # what the collection is called from then on
    try:
        pair = client.reembeddings.get(alias)
    except NotFound:
        if model is None:
            raise click.UsageError(f"Missing option '--model': {alias} is moved to it.") from None
        pair = _paired(client, source, model, name or _next_name(own or source.name))
    else:
        if name not in (None, pair.target):
            raise InvalidField("name", f"{alias} is moving to {pair.target} already")
        checks.hold_sound(alias, pair)
        own = "" if alias == pair.target else own
        pair = client.reembeddings.start(pair.source, pair.target)
    if own:  # last, so that nothing has another name where the move is refused
        client.reembeddings.rename(alias, own)
        complain(f"{alias} is an alias now, of the collection {own}")
        pair = client.reembeddings.get(alias)
    return _with_backlog(client, pair)


def arrived(client: Client, pair: Reembedding, *, still_s: float = _STILL_S) -> Reembedding:
    """Wait until what is queued for the new collection by now is there, however much writers
    send meanwhile; or until nothing arrives any more."""
    told = Teller()
    begun_s = moved_s = time.monotonic()
    look_s = 0.0
    while pair.target_queued:
        time.sleep(max(_LOOK_EVERY_S, look_s * _LOOK_PAUSE))
        asked_s = time.monotonic()
        status = client.ingest_status()
        before, pair = pair, client.reembeddings.get(pair.target)
        now_s = time.monotonic()
        look_s = now_s - asked_s
        if status.oldest_age_s is None or status.oldest_age_s < asked_s - begun_s:
            time.sleep(_NOTED_AFTER_S)  # all has ended that was queued by then
            return client.reembeddings.get(pair.target)
        why = reason_of(status)
        because = f": {why}" if why else ""
        if pair != before:
            moved_s = now_s
        elif now_s >= moved_s + still_s:
            complain(f"nothing has arrived for {still_s:,.0f} s{because}")
            break
        told.tell(f"{pair.target_queued:,} images on their way{because}")
    return pair


def _with_backlog(client: Client, pair: Reembedding) -> Reembedding:
    """Have what was queued before be queued for the new collection, too, as far as there is
    room for it soon."""
    told = Teller()
    begun_s = time.monotonic()
    while pair.source_only_queued and time.monotonic() < begun_s + _BACKLOG_WAIT_S:
        told.tell(f"{pair.source_only_queued:,} images were queued before, and wait for room")
        time.sleep(_LOOK_EVERY_S)
        pair = client.reembeddings.start(pair.source, pair.target)
    return pair


def _paired(client: Client, source: Collection, model: str, name: str) -> Reembedding:
    """Make a pair of `source` and a new collection, which goes again where that is refused."""
    target, made = _target(client, source, model, name)
    try:
        if target.model_fingerprint == source.model_fingerprint:
            raise InvalidField("model", f"{source.name} is of that very model")
        return client.reembeddings.start(source.name, target.name)
    except (InvalidField, Precondition):
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
