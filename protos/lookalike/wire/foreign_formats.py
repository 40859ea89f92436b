"""Formats of pictures and their like that no part decodes: how their files begin, what to do.

Clients leave such files out, and the embedder names them where they are sent all the same.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

CONVERT = "convert it to JPEG or PNG"
DEVELOP = "export it as JPEG or TIFF from a raw converter"
RENDER = "render it to PNG"

_MOST_BRAND_BYTES = 256


class Foreign(NamedTuple):
    """A format by its short `name`, as a sentence would call it, and what to do with a file."""

    name: str
    described: str
    advice: str


def _raw(kind: str, maker: str) -> Foreign:
    return Foreign(f"RAW ({kind})", f"{maker} raw file ({kind})", DEVELOP)


VIDEO = Foreign("video", "a video", "take a frame of it as JPEG or PNG")
CR3 = _raw("CR3", "a Canon")
DICOM = Foreign("DICOM", "a DICOM file", CONVERT)
JPEG_2000 = Foreign("JPEG 2000", "a JPEG 2000 picture", CONVERT)
NETPBM = Foreign("Netpbm", "a Netpbm picture", CONVERT)
SVG = Foreign("SVG", "an SVG drawing", RENDER)
_POSTSCRIPT = Foreign("PostScript", "a PostScript file", RENDER)
_ORF = _raw("ORF", "an Olympus")

BEGINNINGS: tuple[tuple[bytes, Foreign], ...] = (
    (b"\0\0\0\x0cjP  \r\n\x87\n", JPEG_2000),
    (b"\xff\x4f\xff\x51", JPEG_2000),
    (b"II\xbc", Foreign("JPEG XR", "a JPEG XR picture", CONVERT)),
    (b"8BPS", Foreign("PSD", "a Photoshop file", CONVERT)),
    (b"gimp xcf", Foreign("XCF", "a GIMP file", CONVERT)),
    (b"qoif", Foreign("QOI", "a QOI picture", CONVERT)),
    (b"BPG\xfb", Foreign("BPG", "a BPG picture", CONVERT)),
    (b"v/1\x01", Foreign("OpenEXR", "an OpenEXR picture", CONVERT)),
    (b"#?RADIANCE", Foreign("Radiance HDR", "a Radiance HDR picture", CONVERT)),
    (b"DDS ", Foreign("DDS", "a DDS texture", CONVERT)),
    (b"icns", Foreign("ICNS", "an icon (ICNS)", CONVERT)),
    (b"\0\0\1\0", Foreign("ICO", "an icon (ICO)", CONVERT)),
    (b"SIMPLE  =", Foreign("FITS", "a FITS file", CONVERT)),
    (b"%PDF", Foreign("PDF", "a PDF document", "render its pages to PNG")),
    (b"%!PS", _POSTSCRIPT),
    (b"\xc5\xd0\xd3\xc6", _POSTSCRIPT),
    (b"\xd7\xcd\xc6\x9a", Foreign("Windows metafile", "a Windows metafile", RENDER)),
    (b"II*\0\x10\0\0\0CR", _raw("CR2", "a Canon")),
    (b"II\x1a\0\0\0HEAPCCDR", _raw("CRW", "a Canon")),
    (b"FUJIFILMCCD-RAW", _raw("RAF", "a Fujifilm")),
    (b"FOVb", _raw("X3F", "a Sigma")),
    (b"\0MRM", _raw("MRW", "a Minolta")),
    (b"IIRO", _ORF),
    (b"IIRS", _ORF),
    (b"MMOR", _ORF),
    (b"IIU\0", _raw("RW2", "a Panasonic")),
    (b"\x1aE\xdf\xa3", VIDEO),  # Matroska, WebM
    (b"FLV\x01", VIDEO),
    (b"\0\0\x01\xba", VIDEO),  # MPEG
    (b"\0\0\x01\xb3", VIDEO),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", VIDEO),  # WMV
)


def by_beginning(head: bytes) -> Foreign | None:
    """Return the format of a file that begins with `head`, where its first bytes tell."""
    return next((found for beginning, found in BEGINNINGS if head.startswith(beginning)), None)


def is_dicom(head: bytes) -> bool:
    """Say whether a file is DICOM, whose mark stands behind a preamble."""
    return head[128:132] == b"DICM"


def is_netpbm(head: bytes) -> bool:
    """Say whether a file is one of the Netpbm family, PBM to PAM."""
    return (
        head[:1] == b"P"
        and head[1:2] in tuple(b"%d" % n for n in range(1, 8))
        and (head[2:3] in (b" ", b"\n", b"\r", b"\t"))
    )


def brands_of(head: bytes) -> frozenset[bytes]:
    """Return the brands of a file of ISO's media format (ISO 14496-12); none of another."""
    if head[4:8] != b"ftyp" or len(head) < 16:
        return frozenset()
    length = min(struct.unpack_from(">I", head)[0], len(head), _MOST_BRAND_BYTES)
    return frozenset({head[8:12], *(head[at : at + 4] for at in range(16, length - 3, 4))})
