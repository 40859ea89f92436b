"""Which collections are pairs, in one small durable file."""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import orjson

from lookalike.v1.collection_pb2 import DUPLICATE_POLICY_FLAG
from lookalike.wire.errors import (
    InvalidField,
    LookalikeError,
    Reason,
    StoreDamaged,
    Unavailable,
    Unsupported,
)
from search_service.catalog.catalog import Catalog
from search_service.catalog.collection import Collection as Stored
from search_service.domain.collection import DuplicatePolicy
from search_service.durable_files import write_durably
from search_service.ingest.twins import Twin
from search_service.shard.shard import Shard
from search_service.shard.writing.twinned import Twinned

_log = logging.getLogger(__name__)

FILE = "reembedding.json"
FORMAT = 1


@dataclass(frozen=True, slots=True)
class Pair:
    """The UIDs of two collections that take each other's changes."""

    source: str
    target: str

    def other(self, uid: str) -> str:
        """Return the UID of the other one."""
        return self.target if uid == self.source else self.source


class Pairs:
    """`search_service.ingest.twins.Twins`; which collections are pairs.

    A pair is noted before its collections give out versions in one order, and forgotten
    after they give them out alone: so that a start in between finds them joined.
    """

    def __init__(self, path: Path, catalog: Catalog) -> None:
        self._path = path
        self._catalog = catalog
        self._change = threading.Lock()
        self._by_uid: Mapping[str, Pair] = {}

    def open(self) -> None:
        """Read the file and join the pairs, before anything is written to a collection.

        A pair of which one collection is gone, or cannot be opened, stands still.

        Raises:
            Unavailable: STORE_FAILED, the file is damaged, or of a later release.
        """
        pairs = self._load()
        shards = {each.uid: each for each in self._catalog.collections()}
        for pair in pairs:
            if pair.source not in shards or pair.target not in shards:
                _log.warning("a collection of a pair is gone: the pair is forgotten")
                continue
            self._take(pair)
            self._join(shards[pair.source], shards[pair.target])

    def all(self) -> list[Pair]:
        """Return all pairs."""
        return list(dict.fromkeys(self._by_uid.values()))

    def uids(self) -> Collection[str]:
        """See `Twins`."""
        return self._by_uid.keys()

    def of(self, uid: str) -> Pair | None:
        """Return the pair that a collection belongs to."""
        return self._by_uid.get(uid)

    def begin(self, source: Stored, target: Stored) -> None:
        """Make a pair of two collections, durably; may wait for the disk."""
        pair = Pair(source.uid, target.uid)
        with self._change:
            self._save([*self.all(), pair])
            twinned(source).join(twinned(target))
            self._take(pair)

    def end(self, pair: Pair, removed: str = "") -> int:
        """Part two collections, durably, and remove the one named `removed`, "" for none.

        Returns how many items went with it. May wait for the disk. One that breaks off
        leaves the pair as it is, where both collections are still there. What is damaged
        does not hold it up.
        """
        both = [self._catalog.find(uid) for uid in (pair.source, pair.target)]
        with self._change:
            self._by_uid = {uid: its for uid, its in self._by_uid.items() if its != pair}
            try:
                for each in both:
                    if each.is_open and each.name != removed:
                        self._part(each)
                items = self._catalog.delete(removed) if removed else 0
                self._save(self.all())
            except BaseException:
                self._join_again(pair)
                raise
        return items

    def _part(self, collection: Stored) -> None:
        try:
            twinned(collection).part()
        except StoreDamaged as error:  # it takes no bound, nor anything else that needs one
            _log.warning(
                "a pair ends of which one collection is damaged",
                extra={"collection": collection.name, "reason": error.message},
            )

    def check_alone(self, uid: str) -> None:
        """Hold that a collection belongs to no pair.

        Raises:
            InvalidField: it does.
        """
        if uid in self._by_uid:
            raise InvalidField(
                "name",
                "the collection is being embedded anew, and takes the changes of another: end "
                "that first, by `lookalike reembed finish` or `abort`",
            )

    def check_may_reject(self, uid: str) -> None:
        """Hold that a collection may begin to reject near-duplicates.

        Raises:
            InvalidField: it belongs to a pair, of which the other one would not reject the same.
        """
        if uid in self._by_uid:
            raise InvalidField(
                "duplicates.policy",
                "the collection is being embedded anew, and two models would not reject the same: "
                "flag near-duplicates until that has ended",
            )

    def twin_of(self, uid: str) -> Twin | None:
        """See `Twins`: None, too, where the other one cannot take images now, or ever."""
        pair = self._by_uid.get(uid)
        if pair is None:
            return None
        try:
            spec = self._catalog.find(pair.other(uid)).shard.spec
        except LookalikeError:
            return None  # its pictures are missing, and are told as such
        if not spec.model_fingerprint:
            return None
        # Whether a picture is kept is decided in one place: where it was sent to.
        rejects = spec.duplicates.policy is DuplicatePolicy.REJECT
        return Twin(
            spec.uid,
            spec.model_fingerprint,
            spec.thumbnail_side_px,
            DUPLICATE_POLICY_FLAG if rejects else 0,
        )

    def _join_again(self, pair: Pair) -> None:
        shards = {each.uid: each for each in self._catalog.collections()}
        if pair.source in shards and pair.target in shards:
            self._take(pair)
            self._join(shards[pair.source], shards[pair.target])

    def _join(self, source: Stored, target: Stored) -> None:
        try:
            twinned(source).join(twinned(target))
        except LookalikeError as error:
            _log.error("a pair of collections stands still", extra={"reason": error.message})

    def _take(self, pair: Pair) -> None:
        self._by_uid = {**self._by_uid, pair.source: pair, pair.target: pair}

    def _save(self, pairs: list[Pair]) -> None:
        write_durably(self._path, [orjson.dumps({"format": FORMAT, "pairs": pairs})])

    def _load(self) -> list[Pair]:
        if not self._path.exists():
            return []
        try:
            content = orjson.loads(self._path.read_bytes())
            if content["format"] == FORMAT:
                return [Pair(str(each["source"]), str(each["target"])) for each in content["pairs"]]
        except (orjson.JSONDecodeError, KeyError, TypeError) as error:
            raise _unreadable("is damaged") from error
        raise _unreadable("is of another release")


def twinned(collection: Stored) -> Twinned:
    """Return what a collection's shard lends to a pair.

    Raises:
        Unsupported: it is none of this machine's.
        LookalikeError: there is no shard.
    """
    shard = collection.shard
    if not isinstance(shard, Shard):
        raise Unsupported("embedding a collection anew in place is of one machine's collections")
    return shard.twinned


def _unreadable(how: str) -> Unavailable:
    return Unavailable(
        f"the file reembedding.json of the data directory {how}: put it back, or take it away "
        "to forget which collections are being embedded anew",
        reason=Reason.STORE_FAILED,
    )
