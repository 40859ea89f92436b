"""Hostile files built by hand: what no encoder writes, format by format.

Most are valid enough to get past the header, which is where decoders start to
allocate and to loop.
"""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Callable
from functools import cache

from PIL import Image

from tests.hostile import extras
from tests.hostile.rare import RARE, saved

_PNG_HEAD = b"\x89PNG\r\n\x1a\n"


def crafted(random_: random.Random) -> tuple[str, bytes]:
    """Return one file and its kind."""
    kind = random_.choice(sorted(MAKERS))
    return kind, MAKERS[kind](random_)


def chunk(name: bytes, body: bytes) -> bytes:
    """Return one PNG chunk with its checksum."""
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def _png(
    width: int, height: int, depth: int, colour: int, interlaced: int, *chunks: bytes
) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)
    return _PNG_HEAD + chunk(b"IHDR", header) + b"".join(chunks) + chunk(b"IEND", b"")


@cache
def _deflated(length: int) -> bytes:
    return zlib.compress(bytes(length), 1)


def _png_deep(random_: random.Random) -> bytes:
    """16 bits a channel with alpha, up to 200 MB of scanlines."""
    side = random_.choice((16, 3000, 5000))
    data = _deflated(side * (side * 8 + 1))
    return _png(side, side, 16, 6, random_.randrange(2), chunk(b"IDAT", data))


def _png_interlaced(random_: random.Random) -> bytes:
    side = random_.choice((9, 7000))
    return _png(side, side, 8, 2, 1, chunk(b"IDAT", _deflated(side * (side * 3 + 9) + 64)))


def _png_many_chunks(random_: random.Random) -> bytes:
    """A hundred thousand chunks before the pixels, or the pixels a byte at a time."""
    pixels = _deflated(65 * 64)
    if random_.random() < 0.5:
        texts = b"".join(chunk(b"tEXt", b"k%d\0v" % n) for n in range(100_000))
        return _png(64, 64, 8, 0, 0, texts, chunk(b"IDAT", pixels))
    return _png(64, 64, 8, 0, 0, *(chunk(b"IDAT", pixels[n : n + 1]) for n in range(len(pixels))))


def _png_palette(random_: random.Random) -> bytes:
    """Palette indexes past the palette, transparency longer than it."""
    width = 64
    rows = b"".join(b"\0" + random_.randbytes(width) for _ in range(width))
    colours = chunk(b"PLTE", random_.randbytes(3 * random_.choice((1, 7, 256))))
    clear = chunk(b"tRNS", random_.randbytes(random_.choice((1, 300))))
    return _png(width, width, 8, 3, 0, colours, clear, chunk(b"IDAT", zlib.compress(rows)))


def _png_profile(random_: random.Random) -> bytes:
    """A colour profile or a comment that unfolds to 300 MB."""
    body = b"x\0\0" + _deflated(300 << 20)
    name = random_.choice((b"iCCP", b"zTXt"))
    if name == b"zTXt" and random_.random() < 0.5:
        name, body = b"iTXt", b"k\0\1\0\0\0" + _deflated(300 << 20)
    return _png(8, 8, 8, 0, 0, chunk(name, body), chunk(b"IDAT", _deflated(72)))


def _png_animated(random_: random.Random) -> bytes:
    frames = random_.choice((0, 2**31 - 1))
    control = chunk(b"acTL", struct.pack(">II", frames, 0))
    frame = chunk(b"fcTL", struct.pack(">IIIIIHHBB", 0, 2**30, 2**30, 0, 0, 1, 1, 0, 0))
    return _png(8, 8, 8, 0, 0, control, frame, chunk(b"IDAT", _deflated(72)))


def _jpeg_scans(random_: random.Random) -> bytes:
    """A progressive JPEG whose scans come again and again."""
    side = random_.choice((64, 1000, 6000))
    data = saved(Image.new("RGB", (side, side), (90, 90, 20)), "JPEG", progressive=True)
    first = data.index(b"\xff\xda")
    return data[:first] + data[first:-2] * random_.choice((3, 60)) + b"\xff\xd9"


def _jpeg_segments(random_: random.Random) -> bytes:
    """Megabytes of application segments, the profile's in a hundred parts."""
    data = saved(Image.new("RGB", (40, 30)), "JPEG")
    body = random_.choice(
        (b"ICC_PROFILE\0\1\xff", b"Exif\0\0MM\0*", b"http://ns.adobe.com/xap/1.0/\0")
    )
    part = b"\xff\xe2" + struct.pack(">H", 60_002) + body.ljust(60_000, b"\7")
    if body.startswith(b"Exif"):
        part = part.replace(b"\xff\xe2", b"\xff\xe1", 1)
    return data[:2] + part * random_.choice((2, 100)) + data[2:]


def _jpeg_components(random_: random.Random) -> bytes:
    """Another number of components, precision or kind of frame than the data has."""
    data = bytearray(saved(Image.new("RGB", (40, 30)), "JPEG"))
    at = data.index(b"\xff\xc0")
    data[at + 1] = random_.choice((0xC1, 0xC2, 0xC3, 0xC5, 0xC9, 0xCA, 0xC0))
    data[at + 4] = random_.choice((8, 12, 16, 0))
    data[at + 9] = random_.choice((0, 1, 2, 3, 4, 255))
    return bytes(data)


def _exif_loop(random_: random.Random) -> bytes:
    """Directories that point at themselves, at each other, or outside."""
    target = random_.choice((8, 2**31, 2**32 - 1, 26))
    count = random_.choice((1, 2**32 - 1, 65536))
    entries = struct.pack("<HHII", 0x8769, 4, count, target)
    entries += struct.pack("<HHII", 0x8825, 4, 1, target)
    entries += struct.pack("<HHII", 0x0112, random_.choice((3, 2, 5, 12)), count, target)
    block = b"II*\0\x08\0\0\0" + struct.pack("<H", 3) + entries + struct.pack("<I", target)
    name = random_.choice(("JPEG", "PNG", "WEBP", "AVIF"))
    image = Image.new("RGB", (48, 32), (9, 99, 199))
    if name != "AVIF":
        return saved(image, name, exif=b"Exif\0\0" + block)
    # Pillow reads the orientation when it writes an AVIF, so it comes in afterwards.
    harmless = block.replace(struct.pack("<H", 0x0112), struct.pack("<H", 0x9999))
    return saved(image, name, exif=b"Exif\0\0" + harmless).replace(harmless, block)


def _gif_frames(random_: random.Random) -> bytes:
    """Thousands of frames, or frames that lie outside the canvas."""
    small = saved(Image.new("P", (8, 8)), "GIF")
    at = small.index(b",", 13)
    body = small[at:-1]
    if random_.random() < 0.5:
        return small[:at] + body * 20_000 + b";"
    box = struct.pack("<HHHH", *(random_.choice((0, 1, 8, 6000, 65535)) for _ in range(4)))
    canvas = struct.pack("<HH", *random_.choice(((8, 8), (7000, 7000), (0, 0))))
    return small[:6] + canvas + small[10:at] + b"," + box + body[9:] + b";"


def _webp_canvas(random_: random.Random) -> bytes:
    """An animation with a huge canvas and tiny frames."""
    frame = saved(Image.new("RGB", (8, 8)), "WEBP", lossless=True)[12:]
    side = random_.choice((100, 7000, 16384))
    packed = struct.pack("<I", side - 1)[:3] * 2
    extended = b"VP8X" + struct.pack("<I", 10) + b"\x02\0\0\0" + packed
    control = b"ANIM" + struct.pack("<IIH", 6, 0xFFFFFFFF, 0)
    head = bytes(6) + struct.pack("<I", 7)[:3] * 2 + b"\1\0\0\0"
    one = b"ANMF" + struct.pack("<I", len(head) + len(frame)) + head + frame
    chunks = extended + control + one * random_.choice((1, 5000))
    return b"RIFF" + struct.pack("<I", len(chunks) + 4) + b"WEBP" + chunks


MAKERS: dict[str, Callable[[random.Random], bytes]] = (
    RARE
    | extras.MAKERS
    | {
        "deep PNG": _png_deep,
        "interlaced PNG": _png_interlaced,
        "PNG of many chunks": _png_many_chunks,
        "PNG palette": _png_palette,
        "PNG profile": _png_profile,
        "animated PNG": _png_animated,
        "JPEG of many scans": _jpeg_scans,
        "JPEG segments": _jpeg_segments,
        "JPEG components": _jpeg_components,
        "EXIF loop": _exif_loop,
        "GIF frames": _gif_frames,
        "WebP canvas": _webp_canvas,
    }
)
