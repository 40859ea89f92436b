"""Small pictures of items, for pages."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path

from PIL import Image, ImageOps

from lookalike_client import Client
from lookalike_client.indexing.scan import scan
from lookalike_client.types import AnalysisProgress, Fields

_SIDE_PX = 96
_QUALITY = 60
_PER_CALL = 250
_WEBP = "image/webp"


def small_pictures(
    client: Client,
    collection: str,
    ids: Sequence[str],
    folder: Path | None,
    told: Callable[[AnalysisProgress], object],
) -> dict[str, tuple[str, bytes]]:
    """Return pictures by id, each with its media type; items without one are not among them.

    They are made of the files of `folder`, the one that was indexed; without it they are
    the stored thumbnails, or the grey pictures that are kept of every image.
    """
    indexed = [] if folder is None else scan([folder], base=Path.cwd()).files
    files = {file.id: file.path for file in indexed}
    found: dict[str, tuple[str, bytes]] = {}
    for start in range(0, len(ids), _PER_CALL):
        told(AnalysisProgress("making small pictures", start, len(ids)))
        some = ids[start : start + _PER_CALL]
        for id in some:
            if id in files and (made := _small(files[id])) is not None:
                found[id] = (_WEBP, made)
        missing = [id for id in some if id not in found]
        if missing:
            found |= _stored(client, collection, missing)
    return found


def _small(file: Path | io.BytesIO) -> bytes | None:
    """Return a small WebP of a picture; None where it cannot be read."""
    try:
        with Image.open(file) as opened:
            opened.draft("RGB", (_SIDE_PX * 2, _SIDE_PX * 2))  # reads large JPEGs faster
            picture = ImageOps.exif_transpose(opened).convert("RGB")
        picture.thumbnail((_SIDE_PX, _SIDE_PX))
        target = io.BytesIO()
        picture.save(target, "WEBP", quality=_QUALITY)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None  # the stored one will do
    return target.getvalue()


def _stored(client: Client, collection: str, ids: Sequence[str]) -> dict[str, tuple[str, bytes]]:
    wanted = Fields(metadata=False, facts=True, thumbnail=True)
    found: dict[str, tuple[str, bytes]] = {}
    for item in client.get(collection, list(ids), fields=wanted).items:
        if item.facts is None:
            continue
        if item.facts.thumbnail_webp:
            picture = _small(io.BytesIO(item.facts.thumbnail_webp))
            found[item.id] = (_WEBP, picture or item.facts.thumbnail_webp)
        elif item.facts.grey_webp:
            found[item.id] = (_WEBP, item.facts.grey_webp)
    return found
