"""Originals are sent to a new collection, as far as they are there, are whole, and are taken."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import cast

import pytest

from lookalike.wire.digests import digest_of_files
from lookalike.wire.errors import (
    Exhausted,
    ImageTooLarge,
    ImageUnreadable,
    InvalidField,
    LookalikeError,
)
from lookalike_client import Client
from lookalike_client.indexing.scan import FileEntry
from lookalike_client.moving.filling import Filled, Patience, fill
from lookalike_client.moving.originals import Originals
from lookalike_client.types import MissingItem, OfferOutcome

AT_ONCE = Patience(again_after_s=0.0, most_tries=3, still_s=0.0)


class Lacking:
    """A service whose new collection lacks these items, and refuses some for ever."""

    def __init__(self, *missing: str | MissingItem, refuses: Mapping[str, LookalikeError]) -> None:
        self.reembeddings = self
        self.taken: dict[str, tuple[bytes, ...]] = {}
        self.tries: Counter[str] = Counter()
        self._refuses = refuses
        self._missing = [
            MissingItem(each, 1, b"") if isinstance(each, str) else each for each in missing
        ]

    def missing(self, _collection: str) -> Iterator[MissingItem]:
        return iter(self._missing)

    def offer(
        self, _collection: str, images: Mapping[str, tuple[bytes, ...]], *, accept_changed: bool
    ) -> list[OfferOutcome]:
        self.tries.update(images.keys())
        self.taken.update({id: each for id, each in images.items() if id not in self._refuses})
        return [
            OfferOutcome(id, queued=id not in self._refuses, error=self._refuses.get(id))
            for id in images
        ]


def files_in(folder: Path, *names: str) -> list[FileEntry]:
    found = []
    for name in names:
        path = folder / name
        path.write_bytes(f"picture {name}".encode())
        found.append(FileEntry(name, name, path, folder))
    return found


def filled_from(
    service: Lacking,
    files: list[FileEntry],
    *,
    accept_changed: bool = False,
    patience: Patience = AT_ONCE,
) -> Filled:
    return fill(
        cast("Client", service),
        "new",
        Originals(files),
        accept_changed=accept_changed,
        progress=lambda _: None,
        patience=patience,
    )


def test_a_file_that_no_message_carries_is_told_and_the_others_go_on(tmp_path: Path) -> None:
    files = files_in(tmp_path, "a", "b", "c")
    with (tmp_path / "b").open("wb") as file:
        file.truncate(65 << 20)
    service = Lacking("a", "b", "c", "nowhere", refuses={})
    filled = filled_from(service, files)
    assert list(service.taken) == ["a", "c"]
    assert (filled.queued, filled.without_file) == (2, ["nowhere"])
    assert isinstance(filled.refused["b"], ImageTooLarge)


def test_originals_that_went_or_cannot_be_read_are_told_and_the_others_go_on(
    tmp_path: Path,
) -> None:
    files = files_in(tmp_path, "gone", "gone-known", "empty", "folder", "whole")
    for name in ("gone", "gone-known", "folder"):
        (tmp_path / name).unlink()
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty").write_bytes(b"")
    known = MissingItem("gone-known", 1, hashlib.sha256(b"picture gone-known").digest())
    service = Lacking("gone", known, "empty", "folder", "whole", refuses={})
    filled = filled_from(service, files)
    assert list(service.taken) == ["whole"]
    assert filled.without_file == ["gone", "gone-known"]
    assert set(filled.refused) == {"empty", "folder"}
    assert all(isinstance(each, ImageUnreadable) for each in filled.refused.values())


def test_one_that_is_refused_again_and_again_is_given_up_and_the_others_go_on(
    tmp_path: Path,
) -> None:
    """Also at the end, where there is no other any more that is taken meanwhile."""
    names = [f"item-{number:03}" for number in range(70)]
    refuses = {
        "item-001": Exhausted("another change of the same version"),
        "item-033": ImageUnreadable("no picture"),
        "item-069": Exhausted("another change of the same version"),
    }
    service = Lacking(*names, refuses=refuses)
    filled = filled_from(service, files_in(tmp_path, *names))
    assert filled.queued == len(names) - len(refuses)
    assert filled.refused == refuses
    assert {id: filled.tries[id] for id in refuses} == {id: service.tries[id] for id in refuses}
    assert service.tries["item-033"] == 1
    assert max(service.tries.values()) <= AT_ONCE.most_tries + 1


def test_a_service_that_takes_nothing_more_ends_the_run(tmp_path: Path) -> None:
    names = [f"item-{number:03}" for number in range(200)]
    service = Lacking(*names, refuses={name: Exhausted("the queue is full") for name in names})
    with pytest.raises(Exhausted, match=r"takes no pictures .* the queue is full"):
        filled_from(service, files_in(tmp_path, *names))
    assert len(service.tries) < len(names)


@pytest.mark.parametrize("accept_changed", [False, True])
def test_an_item_of_several_pictures_is_sent_with_all_of_them_or_not(
    tmp_path: Path, accept_changed: bool
) -> None:
    front, back, side, other = files_in(tmp_path, "front", "back", "side", "other")
    pictures = [each.path.read_bytes() for each in (front, back, side)]

    def item(id: str) -> MissingItem:
        first, *further = pictures
        return MissingItem(id, 1, hashlib.sha256(first).digest(), digest_of_files(further), 3)

    whole = FileEntry("whole", "front", front.path, tmp_path, (back.path, side.path))
    short = FileEntry("short", "front", front.path, tmp_path, (back.path,))
    swapped = FileEntry("swapped", "front", front.path, tmp_path, (other.path, side.path))
    items = ("whole", "short", "unknown", "swapped")

    service = Lacking(*map(item, items), refuses={})
    filled = filled_from(service, [whole, short, swapped], accept_changed=accept_changed)
    # One that moved is told by what is in its files.
    assert service.taken == {id: tuple(pictures) for id in items}
    assert not filled.refused

    service = Lacking(*map(item, items), refuses={})
    filled = filled_from(service, [short, swapped], accept_changed=accept_changed)
    assert list(service.taken) == (["swapped"] if accept_changed else [])
    assert set(filled.refused) == set(items) - set(service.taken)
    assert all(isinstance(each, InvalidField) for each in filled.refused.values())
    assert "has 3 pictures" in filled.refused["unknown"].message
