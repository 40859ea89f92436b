"""Tells a file's format by its first bytes: names lie, and many have no extension."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import PurePath

# Enough for the first directory of a TIFF, which tells a camera's raw file from a picture.
HEAD_BYTES = 4096

# Extensions of formats that the embedder decodes, some of them with an extra: a file with
# one of them is sent even where its bytes are no picture's, so that it is listed as damaged.
IMAGE_EXTENSIONS = frozenset(
    {".jpg", ".jpeg", ".jfif", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif"}
    | {".heic", ".heif", ".hif", ".jxl"}
)

# Raw files that begin as TIFF does; only their name tells most of them apart.
_RAW_EXTENSIONS = frozenset(
    {".3fr", ".arw", ".cr2", ".dcr", ".dng", ".erf", ".fff", ".iiq", ".kdc", ".mef", ".mos"}
    | {".nef", ".nrw", ".pef", ".rwl", ".sr2", ".srf", ".srw"}
)
# Sizes of the header that follows a BMP's own: "BM" alone begins many a text.
_BMP_HEADERS = frozenset({12, 16, 40, 52, 56, 64, 108, 124})
_DNG_VERSION_TAG = 50706

_TO_JPEG = "convert it to JPEG or PNG"
_DEVELOP = "export it as JPEG or TIFF from a raw converter"
_RENDER = "render it to PNG"


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


_VIDEO = Format("video", "index a frame of it as JPEG or PNG")


def _raw(kind: str) -> Format:
    return Format(f"RAW ({kind})", _DEVELOP)


_BEGINNINGS: tuple[tuple[bytes, Format], ...] = (
    (b"\xff\xd8\xff", Format("JPEG")),
    (b"\x89PNG\r\n\x1a\n", Format("PNG")),
    (b"GIF87a", Format("GIF")),
    (b"GIF89a", Format("GIF")),
    (b"\xff\x0a", Format("JPEG XL")),
    (b"\x00\x00\x00\x0cJXL \r\n\x87\n", Format("JPEG XL")),
    (b"\x00\x00\x00\x0cjP  \r\n\x87\n", Format("JPEG 2000", _TO_JPEG)),
    (b"\xff\x4f\xff\x51", Format("JPEG 2000", _TO_JPEG)),
    (b"II\xbc", Format("JPEG XR", _TO_JPEG)),
    (b"8BPS", Format("PSD", _TO_JPEG)),
    (b"gimp xcf", Format("XCF", _TO_JPEG)),
    (b"qoif", Format("QOI", _TO_JPEG)),
    (b"BPG\xfb", Format("BPG", _TO_JPEG)),
    (b"v/1\x01", Format("OpenEXR", _TO_JPEG)),
    (b"#?RADIANCE", Format("Radiance HDR", _TO_JPEG)),
    (b"DDS ", Format("DDS", _TO_JPEG)),
    (b"icns", Format("ICNS", _TO_JPEG)),
    (b"\x00\x00\x01\x00", Format("ICO", _TO_JPEG)),
    (b"SIMPLE  =", Format("FITS", _TO_JPEG)),
    (b"%PDF", Format("PDF", "render its pages to PNG")),
    (b"%!PS", Format("PostScript", _RENDER)),
    (b"\xc5\xd0\xd3\xc6", Format("PostScript", _RENDER)),
    (b"\xd7\xcd\xc6\x9a", Format("Windows metafile", _RENDER)),
    (b"II\x1a\x00\x00\x00HEAPCCDR", _raw("CRW")),
    (b"FUJIFILMCCD-RAW", _raw("RAF")),
    (b"FOVb", _raw("X3F")),
    (b"\x00MRM", _raw("MRW")),
    (b"IIRO", _raw("ORF")),
    (b"IIRS", _raw("ORF")),
    (b"MMOR", _raw("ORF")),
    (b"IIU\x00", _raw("RW2")),
    (b"\x1aE\xdf\xa3", _VIDEO),  # Matroska, WebM
    (b"FLV\x01", _VIDEO),
    (b"\x00\x00\x01\xba", _VIDEO),  # MPEG
    (b"\x00\x00\x01\xb3", _VIDEO),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", _VIDEO),  # WMV
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
    for beginning, found in _BEGINNINGS:
        if head.startswith(beginning):
            return found
    if head.startswith(_TIFF_BEGINNINGS):
        return _tiff(head, PurePath(name).suffix.lower())
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return _VIDEO
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return Format("WebP")
    if head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in _BMP_HEADERS:
        return Format("BMP")
    if head[4:8] == b"ftyp":
        return _iso_media(head)
    if head[128:132] == b"DICM":
        return Format("DICOM", _TO_JPEG)
    if head[:1] == b"P" and head[1:2] in b"1234567" and head[2:3] in (b" ", b"\n", b"\r", b"\t"):
        return Format("Netpbm", _TO_JPEG)
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith(b"<svg") or (text.startswith((b"<?xml", b"<!")) and b"<svg" in text):
        return Format("SVG", _RENDER)
    return None


def _iso_media(head: bytes) -> Format | None:
    end = min(int.from_bytes(head[:4], "big"), len(head))
    brands = {head[8:12], *(head[at : at + 4] for at in range(16, end - 3, 4))}
    if brands & {b"avif", b"avis"}:
        return Format("AVIF")
    if head[8:12] == b"crx ":
        return _raw("CR3")
    if brands & _HEIF_BRANDS:
        return Format("HEIC")
    if head[8:12] == b"jp2 ":
        return Format("JPEG 2000", _TO_JPEG)
    if head[8:12] == b"jxl ":
        return Format("JPEG XL")
    return None if head[8:11] in (b"M4A", b"M4B", b"M4P") else _VIDEO  # those are sound


def _tiff(head: bytes, extension: str) -> Format:
    """Tell a raw file by Canon's mark, by DNG's tag, or by its extension."""
    if head[8:10] == b"CR":
        return _raw("CR2")
    if _DNG_VERSION_TAG in _first_tags(head):
        return _raw("DNG")
    return _raw(extension[1:].upper()) if extension in _RAW_EXTENSIONS else Format("TIFF")


def _first_tags(head: bytes) -> list[int]:
    """Return the tags of a TIFF's first directory; none where it stands further on."""
    order = "<" if head[:2] == b"II" else ">"
    try:
        (at,) = struct.unpack_from(f"{order}I", head, 4)
        (count,) = struct.unpack_from(f"{order}H", head, at)
        return [struct.unpack_from(f"{order}H", head, at + 2 + 12 * i)[0] for i in range(count)]
    except struct.error:
        return []
