"""Formats by their first bytes."""

import io
import struct

import pytest
from PIL import Image

from lookalike_client.indexing.formats import HEAD_BYTES, format_of


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WebP", "GIF", "BMP", "TIFF", "AVIF"])
def test_what_is_decoded_is_known(name: str) -> None:
    data = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(data, name.upper())

    found = format_of(data.getvalue()[:HEAD_BYTES], "picture")

    assert found is not None
    assert (found.name, found.supported) == (name, True)


def box(*brands: bytes) -> bytes:
    body = brands[0] + b"\0\0\0\0" + b"".join(brands[1:])
    return struct.pack(">I", 8 + len(body)) + b"ftyp" + body + b"rest"


def tiff(*tags: int) -> bytes:
    entries = b"".join(struct.pack("<HHII", tag, 3, 1, 0) for tag in tags)
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries


@pytest.mark.parametrize(
    ("head", "file", "name"),
    [
        (box(b"crx ", b"isom"), "a", "RAW (CR3)"),
        (tiff(256, 50706), "a.tif", "RAW (DNG)"),
        (tiff(256), "a.NEF", "RAW (NEF)"),
        (b"II*\0\x10\0\0\0CR\2\0", "a.jpg", "RAW (CR2)"),
        (b"FUJIFILMCCD-RAW 0201", "a", "RAW (RAF)"),
    ],
)
def test_raw_files_of_cameras_are_sent(head: bytes, file: str, name: str) -> None:
    found = format_of(head, file)

    assert found is not None
    assert (found.name, found.supported) == (name, True)


@pytest.mark.parametrize(
    ("head", "file", "name"),
    [
        (b"\0\0\0\x0cjP  \r\n\x87\n", "a", "JPEG 2000"),
        (b"8BPS\0\1", "a", "PSD"),
        (b'<?xml version="1.0"?>\n<svg xmlns="x">', "a", "SVG"),
        (b"%PDF-1.7\n", "a.jpg", "PDF"),
        (box(b"isom", b"mp41"), "a", "video"),
        (box(b"qt  "), "a.jpg", "video"),
        (b"RIFF\0\0\0\0AVI LIST", "a", "video"),
        (b"\x1aE\xdf\xa3rest", "a", "video"),
        (b"P6\n1 1\n255\n", "a", "Netpbm"),
    ],
)
def test_what_is_not_decoded_is_named_with_what_to_do(head: bytes, file: str, name: str) -> None:
    found = format_of(head, file)

    assert found is not None
    assert (found.name, found.supported) == (name, False)
    assert found.refusal.startswith(f"{name} is not supported: ")


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (box(b"mif1", b"avif"), "AVIF"),
        (tiff(256), "TIFF"),
        (b"II*\0\xff\xff\xff\xff", "TIFF"),
        (box(b"heic", b"mif1"), "HEIC"),
        (box(b"mif1", b"heic"), "HEIC"),
        (b"\xff\x0arest", "JPEG XL"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
    ],
)
def test_what_looks_like_another_is_told_apart(head: bytes, name: str) -> None:
    found = format_of(head, "a")

    assert found is not None
    assert (found.name, found.supported) == (name, True)


@pytest.mark.parametrize(
    "head",
    [b"", b"\xff", b"BM is short for", b"text", box(b"M4A ", b"mp42"), b"RIFF....WAVE", b"Pick"],
)
def test_other_files_are_no_images(head: bytes) -> None:
    assert format_of(head, "a.heic") is None
