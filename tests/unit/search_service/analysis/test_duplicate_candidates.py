"""Copies whose vectors are far are looked for by sketches of their pictures."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
from PIL import ImageOps

from embedder_service.decode.facts import grey_thumbnail, working_luminance
from search_service.analysis.checkpoint import Checkpoint
from search_service.analysis.duplicates.candidates import BELOW_NEAREST, Neighbourhoods
from search_service.analysis.duplicates.greys import Sketches
from search_service.analysis.gallery import Gallery
from search_service.analysis.jobs import AnalysisJob, Kind, Progress
from tests.hostile.files import photo

PHOTOS = [photo(random.Random(n), 240, 180) for n in range(40)]
GREYS = [grey_thumbnail(working_luminance(picture)) for picture in PHOTOS]


def say_nothing(progress: Progress) -> None:
    """Nobody listens."""


def test_a_picture_in_other_tones_has_the_same_sketch() -> None:
    paler = ImageOps.autocontrast(ImageOps.grayscale(PHOTOS[0]), cutoff=2).convert("RGB")
    sketches = Sketches([*GREYS, grey_thumbnail(working_luminance(paler))], 1, say_nothing)
    alike = sketches.likeness(np.array([40]), np.arange(40)[None, :])[0]
    assert alike.argmax() == 0
    assert alike[0] > 0.97


def test_what_shows_nothing_is_like_nothing() -> None:
    sketches = Sketches([GREYS[0], b"", b"no picture"], 1, say_nothing)
    alike = sketches.likeness(np.arange(3), np.array([[0, 1, -1], [1, 2, 0], [2, 0, 1]]))
    assert alike.round(2).tolist() == [[1, 0, 0], [0, 0, 0], [0, 0, 0]]


def test_a_copy_behind_many_neighbours_is_a_pair_by_its_sketch(tmp_path: Path) -> None:
    # The nearer by vector the earlier, and the copy of the first is the last of all.
    angles = np.linspace(0, 0.9, 41)
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    gallery = Gallery(
        ids=[str(n) for n in range(41)],
        ordinals=np.arange(41),
        vectors=vectors,
        metadata=[b"{}"] * 41,
        facts=[b""] * 41,
        versions=np.arange(41),
    )
    job = AnalysisJob(
        kind=Kind.DUPLICATES,
        store_path=tmp_path,
        segments_path=tmp_path,
        work_path=tmp_path,
        uid="u",
        dimension=2,
        fingerprint="f",
        threads=1,
        chosen=None,
        kept_path=tmp_path,
        options={},
    )
    sketches = Sketches([*GREYS, GREYS[0]], 1, say_nothing)
    row, kept = np.array([0]), Checkpoint(None, "")
    found = Neighbourhoods(job, gallery, sketches, kept).pairs_of(row, 0.9999, 0.5, say_nothing)
    assert 40 in found.second.tolist()
    assert len(found.second) == BELOW_NEAREST
    alone = Neighbourhoods(job, gallery, None, kept).pairs_of(row, 0.9999, 0.5, say_nothing)
    assert len(alone.second) == 0
