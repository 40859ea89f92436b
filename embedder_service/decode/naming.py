"""Formats that are not decoded: told by their first bytes, with what to do."""

from __future__ import annotations

import struct

from PIL import Image

from embedder_service.decode.brands import brands_of
from embedder_service.decode.cut.tiff_directory import Directory
from embedder_service.decode.limits import FORMATS
from lookalike.wire.errors import ImageUnreadable

_CONVERT = "convert it to JPEG or PNG"
_DEVELOP = "export it as JPEG or TIFF from a raw converter"
_RENDER = "render it to PNG"

# What a file type box may name that is decoded neither as it is nor with an extra.
_BRANDS = {
    b"crx ": ("a Canon raw file (CR3)", _DEVELOP),
    b"jp2 ": ("a JPEG 2000 picture", _CONVERT),
    b"jxl ": ("a JPEG XL picture", _CONVERT),
}
_VIDEO = ("a video", "send a frame of it as JPEG or PNG")

_STARTS: tuple[tuple[bytes, str, str], ...] = (
    (b"\0\0\0\x0cjP  \r\n\x87\n", "a JPEG 2000 picture", _CONVERT),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 picture", _CONVERT),
    (b"II*\0\x10\0\0\0CR", "a Canon raw file (CR2)", _DEVELOP),
    (b"II\x1a\0\0\0HEAPCCDR", "a Canon raw file (CRW)", _DEVELOP),
    (b"IIRO", "an Olympus raw file (ORF)", _DEVELOP),
    (b"IIRS", "an Olympus raw file (ORF)", _DEVELOP),
    (b"MMOR", "an Olympus raw file (ORF)", _DEVELOP),
    (b"IIU\0", "a Panasonic raw file (RW2)", _DEVELOP),
    (b"FUJIFILMCCD-RAW", "a Fujifilm raw file (RAF)", _DEVELOP),
    (b"FOVb", "a Sigma raw file (X3F)", _DEVELOP),
    (b"\0MRM", "a Minolta raw file (MRW)", _DEVELOP),
    (b"%PDF", "a PDF document", "render its pages to PNG"),
    (b"%!PS", "a PostScript file", _RENDER),
    (b"\xc5\xd0\xd3\xc6", "a PostScript file", _RENDER),
    (b"8BPS", "a Photoshop file", "export it as JPEG or PNG"),
    (b"gimp xcf", "a GIMP file", "export it as JPEG or PNG"),
    (b"\0\0\1\0", "an icon (ICO)", _CONVERT),
    (b"icns", "an icon (ICNS)", _CONVERT),
    (b"DDS ", "a DDS texture", _CONVERT),
    (b"v/1\1", "an OpenEXR picture", _CONVERT),
    (b"#?RADIANCE", "a Radiance HDR picture", _CONVERT),
    (b"qoif", "a QOI picture", _CONVERT),
    (b"BPG\xfb", "a BPG picture", _CONVERT),
    (b"SIMPLE  =", "a FITS file", _CONVERT),
    (b"\xd7\xcd\xc6\x9a", "a Windows metafile", _RENDER),
    (b"\x1aE\xdf\xa3", *_VIDEO),
    (b"PK\x03\x04", "a ZIP archive", "unpack it"),
    (b"\x1f\x8b", "a gzip archive", "unpack it"),
    (b"Rar!", "a RAR archive", "unpack it"),
    (b"7z\xbc\xaf", "a 7z archive", "unpack it"),
)
_TEXTS: tuple[tuple[bytes, str, str], ...] = (
    (b"<svg", "an SVG drawing", _RENDER),
    (b"<html", "a web page", "send the picture itself"),
    (b"<!doctype html", "a web page", "send the picture itself"),
)
_TEXT_BYTES = 4096
_SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8", b"BM")
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

_DNG_VERSION, _MAKE, _SUB_DIRECTORIES, _SUBFILE, _PHOTOMETRIC = 50706, 271, 330, 254, 262
_COMPRESSION = 259
# Sony, Nikon, lossy DNG, Pentax.
_RAW_COMPRESSIONS = (32767, 34713, 34892, 65535)
_SENSOR = (32803, 34892)  # TIFF/EP and DNG: a colour filter array, linear raw
_REDUCED = 1


def what_it_is(data: bytes) -> str:
    """Return the refusal of bytes that no decoder knows."""
    known = _known(data)
    if known is not None:
        name, remedy = known
        return f"this is {name}, which is not decoded here: {remedy}"
    if data.startswith(_TIFF):
        return _what_tiff(data)
    if data.startswith(_SIGNATURES) or (data[:4] == b"RIFF" and data[8:12] == b"WEBP"):
        return "the image file is damaged or cut short: what describes it is missing"
    if not data.strip(b"\0"):
        return "the file holds nothing but zeros: send the whole file"
    return f"the bytes are not an image in a supported format ({', '.join(FORMATS)})"


def _what_tiff(data: bytes) -> str:
    try:
        directory = Directory(data)
    except (ValueError, struct.error):
        return (
            "the TIFF is damaged or cut short: its directory, which often stands at the end of "
            "the file, is missing"
        )
    raw = (
        directory.number(_PHOTOMETRIC, 0) in _SENSOR
        or directory.number(_COMPRESSION, 0) in _RAW_COMPRESSIONS
        or _DNG_VERSION in directory
        or _is_preview(directory.number(_SUBFILE, 0), others=_SUB_DIRECTORIES in directory)
    )
    name, remedy = ("a raw file", _DEVELOP) if raw else ("a TIFF of a rare form", _CONVERT)
    return f"this is {name}, which is not decoded here: {remedy}"


def _is_preview(subfile: int, *, others: bool) -> bool:
    return others and bool(subfile & _REDUCED)


def _known(data: bytes) -> tuple[str, str] | None:
    for start, name, remedy in _STARTS:
        if data.startswith(start):
            return name, remedy
    if brands := brands_of(data):
        if b"avif" in brands or b"avis" in brands:
            return None
        return next((_BRANDS[brand] for brand in _BRANDS if brand in brands), _VIDEO)
    if data[128:132] == b"DICM":
        return "a DICOM file", _CONVERT
    if data[:1] == b"P" and data[1:2] in b"1234567" and data[2:3] in (b" ", b"\n", b"\r", b"\t"):
        return "a Netpbm picture", _CONVERT
    return _known_text(data[:_TEXT_BYTES])


def _known_text(start: bytes) -> tuple[str, str] | None:
    encoding = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}.get(start[:2], "utf-8-sig")
    text = start.decode(encoding, "ignore").lstrip().lower().encode()
    if not text.startswith(b"<"):
        return None
    return next(((name, remedy) for mark, name, remedy in _TEXTS if mark in text), None)


def refuse_previews(image: Image.Image) -> None:
    """Raise for a TIFF whose first picture only stands for the one that is meant.

    Raises:
        ImageUnreadable: a raw file, whose preview would be taken for the picture.
    """
    tags = getattr(image, "tag_v2", None)
    if image.format != "TIFF" or tags is None:
        return
    name = ""
    if _DNG_VERSION in tags:
        name = "a raw file (DNG)"
    elif tags.get(_PHOTOMETRIC) in _SENSOR:
        name = "a raw file"
    elif _is_preview(int(tags.get(_SUBFILE, 0) or 0), others=_SUB_DIRECTORIES in tags):
        make = str(tags.get(_MAKE, "")).strip("\0 ").split(" ")[0].title()
        name = f"a raw file ({make})" if make else "a raw file"
    if name:
        raise ImageUnreadable(f"this is {name}, of which only a preview could be read: {_DEVELOP}")
