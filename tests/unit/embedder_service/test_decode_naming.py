"""Formats that are not decoded are named, with what to do."""

from __future__ import annotations

import struct

import pytest

from embedder_service.decode.limits import ImageLimits
from embedder_service.decode.picture import decode_file
from lookalike.wire.errors import ImageUnreadable

# Pillow warns of directories that are not there; decode processes hear nothing of it.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

LIMITS = ImageLimits(max_image_bytes=1 << 20, max_image_pixels=1_000_000, max_aspect_ratio=50)


def box(brand: bytes, *others: bytes) -> bytes:
    body = b"ftyp" + brand + bytes(4) + b"".join(others)
    return struct.pack(">I", len(body) + 4) + body + bytes(200)


@pytest.mark.parametrize(
    ("start", "name"),
    [
        (box(b"crx "), "CR3"),
        (box(b"isom", b"mp42"), "video"),
        (box(b"jp2 "), "JPEG 2000"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
        (b"\xff\x4f\xff\x51\0\x2f", "JPEG 2000"),
        (b"II*\0\x10\0\0\0CR\x02\0", "CR2"),
        (b"IIRO\x08\0\0\0", "ORF"),
        (b"IIU\0\x18\0\0\0", "RW2"),
        (b"FUJIFILMCCD-RAW 0201", "RAF"),
        (b"FOVb\0\0\1\0", "X3F"),
        (b"%PDF-1.7\n", "PDF"),
        (b"8BPS\0\1", "Photoshop"),
        (b'<?xml version="1.0"?>\n<!-- made by hand -->\n<svg xmlns="x">', "SVG"),
        (b"\xef\xbb\xbf  <svg>", "SVG"),
        ("<svg>".encode("utf-16"), "SVG"),
        (b"<!DOCTYPE html><html>", "web page"),
        (b"P6\n3 2\n255\n", "Netpbm"),
        (b"PK\x03\x04", "ZIP"),
        (bytes(128) + b"DICM", "DICOM"),
        (bytes(500), "zeros"),
        (b"\x89PNG\r\n\x1a\n\0\0", "cut short"),
        (b"II*\0\xff\xff\0\0", "cut short"),
        (b"plain text", "supported format (JPEG, PNG"),
    ],
)
def test_it_is_named(start: bytes, name: str) -> None:
    with pytest.raises(ImageUnreadable) as refused:
        decode_file(start + bytes(64), LIMITS, least_short_side_px=594, admit=lambda pixels: None)
    assert name in refused.value.message
    assert len(refused.value.message) < 200
