"""Formats that are not decoded: told by their first bytes, with what to do."""

from __future__ import annotations

import struct

from embedder_service.decode.camera_raw import TIFF_STARTS
from embedder_service.decode.cut.tiff_directory import Directory
from embedder_service.decode.limits import FORMATS
from lookalike.wire.foreign_formats import (
    CONVERT,
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

# What a file type box may name that is decoded neither as it is nor with an extra.
_BRANDS = {
    b"jp2 ": JPEG_2000,
    b"jxl ": Foreign("JPEG XL", "a JPEG XL picture", CONVERT),
}
_ARCHIVES = (
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"Rar!", "a RAR archive"),
    (b"7z\xbc\xaf", "a 7z archive"),
)
_WEB_PAGE = Foreign("HTML", "a web page", "send the picture itself")
_TEXTS = ((b"<svg", SVG), (b"<html", _WEB_PAGE), (b"<!doctype html", _WEB_PAGE))
_TEXT_BYTES = 4096
_SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8", b"BM")


def what_it_is(data: bytes) -> str:
    """Return the refusal of bytes that no decoder knows."""
    known = _known(data)
    if known is not None:
        return f"this is {known.described}, which is not decoded here: {known.advice}"
    if data.startswith(TIFF_STARTS):
        return _what_tiff(data)
    if data.startswith(_SIGNATURES) or (data[:4] == b"RIFF" and data[8:12] == b"WEBP"):
        return "the image file is damaged or cut short: what describes it is missing"
    if not data.strip(b"\0"):
        return "the file holds nothing but zeros: send the whole file"
    return f"the bytes are not an image in a supported format ({', '.join(FORMATS)})"


def _what_tiff(data: bytes) -> str:
    try:
        Directory(data)
    except (ValueError, struct.error):
        return (
            "the TIFF is damaged or cut short: its directory, which often stands at the end of "
            "the file, is missing"
        )
    return f"this is a TIFF of a rare form, which is not decoded here: {CONVERT}"


def _known(data: bytes) -> Foreign | None:
    if (foreign := by_beginning(data)) is not None:
        return foreign
    for start, described in _ARCHIVES:
        if data.startswith(start):
            return Foreign("archive", described, "unpack it")
    if brands := brands_of(data):
        if b"avif" in brands or b"avis" in brands:
            return None
        return next((_BRANDS[brand] for brand in _BRANDS if brand in brands), VIDEO)
    if is_dicom(data):
        return DICOM
    if is_netpbm(data):
        return NETPBM
    return _known_text(data[:_TEXT_BYTES])


def _known_text(start: bytes) -> Foreign | None:
    encoding = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}.get(start[:2], "utf-8-sig")
    text = start.decode(encoding, "ignore").lstrip().lower().encode()
    if not text.startswith(b"<"):
        return None
    return next((found for mark, found in _TEXTS if mark in text), None)
