"""The bytes that the pictures of one item may have together."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from lookalike.serving.queue.entries import Kind
from lookalike.wire.errors import ImageTooLarge
from search_service.ingest.intake import _MOST_ITEM_BYTES, Intake
from search_service.ingest.references import References
from search_service.ingest.settings import ReferenceSettings
from search_service.ingest.submission import Picture, Submission

NOBODY: Any = None
PART = _MOST_ITEM_BYTES // 6


def read(root: Path, sizes: list[int]) -> list[int]:
    """Have files of these sizes read by reference as one item; return their sizes."""
    pictures = []
    for number, size in enumerate(sizes):
        path = root / f"{number}.jpg"
        with path.open("wb") as file:
            file.truncate(size)  # which takes no room on the disk
        pictures.append(Picture(b"", path.as_uri(), f"upload.further_images[{number}]"))
    references = References(ReferenceSettings(image_roots=(root,)))
    intake = Intake(NOBODY, references, *[NOBODY] * 5, max_image_bytes=1)
    first, *further = pictures
    submission = Submission(
        "photos", Kind.UPLOAD, "cup", image_uri=first.image_uri, further=tuple(further)
    )
    return [len(each) for each in asyncio.run(intake._images(submission, bound=True))]


def test_the_pictures_of_an_item_are_bounded_together(tmp_path: Path) -> None:
    assert read(tmp_path, [PART] * 3) == [PART] * 3
    with pytest.raises(ImageTooLarge, match="256 MiB together") as caught:
        read(tmp_path, [PART] * 7)
    assert caught.value.field == "upload.further_images[6]"
