"""Originals are sent to a new collection, as far as a message carries them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import cast

from lookalike.wire.errors import ImageTooLarge
from lookalike_client import Client
from lookalike_client.indexing.scan import FileEntry
from lookalike_client.moving.filling import Originals, fill
from lookalike_client.types import MissingItem, OfferOutcome


class Lacking:
    """A service whose new collection lacks the items of these ids."""

    def __init__(self, *ids: str) -> None:
        self.reembeddings = self
        self.offered: list[str] = []
        self._ids = ids

    def missing(self, _collection: str) -> Iterator[MissingItem]:
        return (MissingItem(id, 1, b"") for id in self._ids)

    def offer(
        self, _collection: str, images: Mapping[str, Path], *, accept_changed: bool
    ) -> list[OfferOutcome]:
        assert not accept_changed
        self.offered += images
        return [OfferOutcome(id, queued=True, error=None) for id in images]


def test_a_file_that_no_message_carries_is_told_and_the_others_go_on(tmp_path: Path) -> None:
    files = []
    for id, size in (("a", 10), ("b", 65 << 20), ("c", 20)):
        path = tmp_path / id
        with path.open("wb") as file:
            file.truncate(size)
        files.append(FileEntry(id, id, path, tmp_path))
    service = Lacking("a", "b", "c", "nowhere")
    filled = fill(
        cast("Client", service),
        "new",
        Originals(files),
        accept_changed=False,
        progress=lambda _: None,
    )
    assert service.offered == ["a", "c"]
    assert (filled.queued, filled.without_file) == (2, ["nowhere"])
    assert isinstance(filled.refused["b"], ImageTooLarge)
