"""Tells a file's format by its first bytes: names lie, and many have no extension."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import PurePath

from lookalike.wire.foreign_formats import (
    CR3,
    DICOM,
    JPEG_2000,
    NETPBM,
    SVG,
    VIDEO,
    Foreign,
    brands_of,
    by_beginning,
    is_dicom,
    is_netpbm,
)

# Enough for the first directory of a TIFF, which tells a camera's raw file from a picture.
HEAD_BYTES = 4096

# Raw files that begin as TIFF does; only their name tells most of them apart.
_RAW_EXTENSIONS = frozenset(
    {".3fr", ".arw", ".cr2", ".dcr", ".dng", ".erf", ".fff", ".iiq", ".kdc", ".mef", ".mos"}
    | {".nef", ".nrw", ".pef", ".rwl", ".sr2", ".srf", ".srw"}
)
# Extensions of formats that the embedder decodes, some of them with an extra: a file with
# one of them is sent even where its bytes are no picture's, so that it is listed as damaged.
IMAGE_EXTENSIONS = frozenset(
    {".jpg", ".jpeg", ".jfif", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif"}
    | {".heic", ".heif", ".hif", ".jxl", ".cr3", ".crw", ".mrw", ".orf", ".raf", ".rw2", ".x3f"}
    | _RAW_EXTENSIONS
)
# Sizes of the header that follows a BMP's own: "BM" alone begins many a text.
_BMP_HEADERS = frozenset({12, 16, 40, 52, 56, 64, 108, 124})
_DNG_VERSION_TAG = 50706


@dataclass(frozen=True, slots=True)
class Format:
    """A format; `advice` says what to do with one that is not supported."""

    name: str
    advice: str = ""

    @property
    def supported(self) -> bool:
        """Whether the embedder decodes it, if need be with an extra."""
        return not self.advice

    @property
    def refusal(self) -> str:
        """Say that it is not supported, and what to do."""
        return f"{self.name} is not supported: {self.advice}"


_BEGINNINGS = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\x00\x00\x00\x0cJXL \r\n\x87\n", "JPEG XL"),
)
_TIFF_BEGINNINGS = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")
_HEIF_BRANDS = frozenset(
    {b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"hevm", b"hevs", b"mif1", b"msf1"}
)


def format_of(head: bytes, name: str) -> Format | None:
    """Return the format of a file that begins with `head`; None where it is no image.

    `name` is looked at only where the bytes leave a choice: many raw files of
    cameras are TIFF files by their bytes.
    """
    for beginning, known in _BEGINNINGS:
        if head.startswith(beginning):
            return Format(known)
    if (foreign := by_beginning(head)) is not None:
        return _foreign(foreign)
    if head.startswith(_TIFF_BEGINNINGS):
        return _tiff(head, PurePath(name).suffix.lower())
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return _foreign(VIDEO)
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return Format("WebP")
    if head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in _BMP_HEADERS:
        return Format("BMP")
    if head[4:8] == b"ftyp":
        return _iso_media(head)
    if is_dicom(head):
        return _foreign(DICOM)
    if is_netpbm(head):
        return _foreign(NETPBM)
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith(b"<svg") or (text.startswith((b"<?xml", b"<!")) and b"<svg" in text):
        return _foreign(SVG)
    return None


def _foreign(foreign: Foreign) -> Format:
    """Return a format that is not decoded, but for raw files: those are with an extra."""
    if foreign.name.startswith("RAW"):
        return Format(foreign.name)
    return Format(foreign.name, foreign.advice)


def _iso_media(head: bytes) -> Format | None:
    brands = brands_of(head)
    if brands & {b"avif", b"avis"}:
        return Format("AVIF")
    if head[8:12] == b"crx ":
        return _foreign(CR3)
    if brands & _HEIF_BRANDS:
        return Format("HEIC")
    if head[8:12] == b"jp2 ":
        return _foreign(JPEG_2000)
    if head[8:12] == b"jxl ":
        return Format("JPEG XL")
    sound = head[8:11] in (b"M4A", b"M4B", b"M4P")
    return None if sound else _foreign(VIDEO)


def _tiff(head: bytes, extension: str) -> Format:
    """Tell a raw file by DNG's tag, or by its extension."""
    raw = extension[1:].upper() if extension in _RAW_EXTENSIONS else ""
    if _DNG_VERSION_TAG in _first_tags(head):
        raw = "DNG"
    return Format(f"RAW ({raw})" if raw else "TIFF")


def _first_tags(head: bytes) -> list[int]:
    """Return the tags of a TIFF's first directory; none where it stands further on."""
    order = "<" if head[:2] == b"II" else ">"
    try:
        (at,) = struct.unpack_from(f"{order}I", head, 4)
        (count,) = struct.unpack_from(f"{order}H", head, at)
        return [struct.unpack_from(f"{order}H", head, at + 2 + 12 * i)[0] for i in range(count)]
    except struct.error:
        return []
