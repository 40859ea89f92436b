"""Files that a hostile or broken client might send, by seed.

`hostile_files(n, seed)` yields `n` (kind, bytes): bombs, truncations, odd modes,
absurd shapes, broken metadata, and mutations of well-formed files.
"""

from __future__ import annotations

import io
import random
import struct
import zlib
from collections.abc import Callable, Iterator

import numpy as np
from PIL import Image, ImageCms

from tests.hostile import extras
from tests.hostile.crafted import chunk as png_chunk
from tests.hostile.crafted import crafted

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
_CRAFTED_SHARE = 0.25
ODD_MODES = (
    ("1", "PNG"), ("1", "TIFF"), ("L", "PNG"), ("LA", "PNG"), ("P", "PNG"), ("P", "GIF"),
    ("RGBA", "PNG"), ("RGBA", "WEBP"), ("RGBA", "TIFF"), ("CMYK", "JPEG"), ("CMYK", "TIFF"),
    ("I;16", "PNG"), ("I;16", "TIFF"), ("I", "TIFF"), ("F", "TIFF"), ("LAB", "TIFF"),
    ("YCbCr", "JPEG"), ("RGBA", "AVIF"),
)  # fmt: skip


def hostile_files(count: int, seed: int = 0) -> Iterator[tuple[str, bytes]]:
    """Yield `count` files; the same ones for the same seed."""
    random_ = random.Random(seed)
    samples = [encoded(photo(random_, 96, 80), name) for name in FORMATS]
    samples += [encoded(photo(random_, 640, 480), "JPEG"), encoded(photo(random_, 300, 500), "PNG")]
    samples += [odd_mode(random_, mode, name) for mode, name in ODD_MODES]
    samples += [make(photo(random_, 96, 80)) for make in (extras.heif, extras.jxl)]
    kinds: list[tuple[str, Callable[[], bytes]]] = [
        ("mutation", lambda: mutation(random_, random_.choice(samples))),
        ("mutation", lambda: mutation(random_, random_.choice(samples))),
        ("mutation", lambda: mutation(random_, random_.choice(samples))),
        ("truncation", lambda: truncation(random_, random_.choice(samples))),
        ("splice", lambda: splice(random_, samples)),
        ("bomb", lambda: bomb(random_)),
        ("shape", lambda: absurd_shape(random_)),
        ("mode", lambda: odd_mode(random_, *random_.choice(ODD_MODES))),
        ("metadata", lambda: broken_metadata(random_)),
        ("noise", lambda: random_.randbytes(random_.choice((0, 1, 7, 100, 5000)))),
    ]
    for _ in range(count):
        # A quarter is built by hand: rarer forms, and more of them get past the header.
        if random_.random() < _CRAFTED_SHARE:
            yield crafted(random_)
            continue
        kind, make = random_.choice(kinds)
        yield kind, make()


def photo(random_: random.Random, width: int, height: int) -> Image.Image:
    """Return a picture with smooth and rough parts."""
    generator = np.random.default_rng(random_.getrandbits(32))
    coarse = generator.integers(0, 256, (6, 6, 3), dtype=np.uint8)
    smooth = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    noise = generator.integers(-12, 13, (height, width, 3))
    return Image.fromarray(np.clip(np.asarray(smooth) + noise, 0, 255).astype(np.uint8))


def encoded(image: Image.Image, name: str, **options: object) -> bytes:
    """Return `image` as a file of format `name`."""
    out = io.BytesIO()
    image.save(out, name, **options)
    return out.getvalue()


def odd_mode(random_: random.Random, mode: str, name: str) -> bytes:
    """Return a small file in an unusual colour mode."""
    picture = photo(random_, 64, 48)
    if mode == "I;16":
        wide = np.asarray(picture.convert("L")).astype(np.uint16) * 257
        return encoded(Image.fromarray(wide), name)
    if mode == "LAB":
        srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
        transform = ImageCms.buildTransform(srgb, lab, "RGB", "LAB")
        converted = ImageCms.applyTransform(picture, transform)
        assert converted is not None
        return encoded(converted, name)
    if mode in ("I", "F"):
        return encoded(picture.convert("L").convert(mode), name)
    if mode in ("RGBA", "LA"):
        picture = picture.convert(mode)
        picture.putalpha(Image.linear_gradient("L").resize(picture.size))
        return encoded(picture, name)
    return encoded(picture.convert(mode), name)


def mutation(random_: random.Random, data: bytes) -> bytes:
    """Flip bits, overwrite, cut out or double parts of a well-formed file."""
    mutable = bytearray(data)
    for _ in range(random_.choice((1, 2, 5, 20, 100))):
        at = random_.randrange(len(mutable))
        # Headers are where a parser goes wrong: half of the hits go there.
        at = at if random_.random() < 0.5 else min(at, random_.randrange(64))
        how = random_.random()
        if how < 0.5:
            mutable[at] ^= 1 << random_.randrange(8)
        elif how < 0.8:
            mutable[at] = random_.choice((0, 1, 0x7F, 0x80, 0xFF))
        elif how < 0.9:
            del mutable[at : at + random_.randrange(1, 16)]
        else:
            mutable[at:at] = mutable[at : at + random_.randrange(1, 64)]
        if not mutable:
            return b""
    return bytes(mutable)


def truncation(random_: random.Random, data: bytes) -> bytes:
    """Return the beginning of a file."""
    return data[: random_.randrange(len(data))]


def splice(random_: random.Random, samples: list[bytes]) -> bytes:
    """Return the head of one file with the tail of another."""
    head, tail = random_.choice(samples), random_.choice(samples)
    return head[: random_.randrange(len(head))] + tail[random_.randrange(len(tail)) :]


def bomb(random_: random.Random) -> bytes:
    """Return a small file that unfolds into far more."""
    return random_.choice((
        _png_bomb, _png_header_bomb, _jpeg_bomb, _gif_bomb, _text_bomb, _tiff_bomb, _webp_bomb,
        _bmp_header_bomb,
    ))(random_)  # fmt: skip


def absurd_shape(random_: random.Random) -> bytes:
    """Return a picture that is far longer than wide."""
    length, width = random_.choice(((60000, 1), (30000, 10), (8000, 3), (5000, 50), (1, 1)))
    size = (length, width) if random_.random() < 0.5 else (width, length)
    return encoded(Image.new("RGB", size, (90, 120, 30)), random_.choice(("PNG", "GIF", "TIFF")))


def broken_metadata(random_: random.Random) -> bytes:
    """Return a fine picture whose EXIF, profile or text is garbage."""
    picture = photo(random_, 80, 60)
    garbage = random_.randbytes(random_.choice((4, 40, 400, 4000)))
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    options: list[dict[str, object]] = [
        {"exif": b"Exif\0\0" + garbage},
        {"exif": b"Exif\0\0II*\0" + garbage},
        {"icc_profile": garbage},
        {"icc_profile": mutation(random_, profile)},
        {"icc_profile": profile[: random_.randrange(len(profile))]},
    ]
    name = random_.choice(("JPEG", "PNG", "WEBP"))
    return encoded(picture, name, **random_.choice(options))


def png_file(width: int, height: int, pixels: bytes, extra: bytes = b"") -> bytes:
    """Return a grey 8-bit PNG around a ready zlib stream."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = png_chunk(b"IHDR", header) + extra + png_chunk(b"IDAT", pixels)
    return b"\x89PNG\r\n\x1a\n" + chunks + png_chunk(b"IEND", b"")


def _png_bomb(random_: random.Random) -> bytes:
    side = random_.choice((3000, 7000))  # 9 and 49 megapixels: below and just below the limit
    return png_file(side, side, zlib.compress(bytes(side * (side + 1)), 1))


def _png_header_bomb(random_: random.Random) -> bytes:
    side = random_.choice((8000, 65000, 2**31 - 1))
    return png_file(side, side, zlib.compress(bytes(1000)))


def _jpeg_bomb(random_: random.Random) -> bytes:
    small = bytearray(encoded(Image.new("L", (8, 8), 128), "JPEG"))
    at = small.index(b"\xff\xc0") + 5
    small[at : at + 4] = struct.pack(">HH", *random_.choice(((6000, 6000), (65500, 65500))))
    return bytes(small)


def _gif_bomb(random_: random.Random) -> bytes:
    small = bytearray(encoded(Image.new("P", (8, 8)), "GIF"))
    small[6:10] = struct.pack("<HH", *random_.choice(((65535, 65535), (10, 63498), (7000, 7000))))
    return bytes(small)


def _text_bomb(random_: random.Random) -> bytes:
    body = b"Comment\0\0" + zlib.compress(bytes(random_.choice((1, 64)) << 20))
    name = random_.choice((b"zTXt", b"iCCP"))
    return png_file(8, 8, zlib.compress(bytes(72)), png_chunk(name, body))


def _tiff_bomb(random_: random.Random) -> bytes:
    side = random_.choice((4000, 7000))
    return encoded(Image.new("1", (side, side)), "TIFF", compression="tiff_deflate")


def _webp_bomb(random_: random.Random) -> bytes:
    side = random_.choice((2000, 4000))
    return encoded(Image.new("RGB", (side, side), (1, 2, 3)), "WEBP", lossless=True, method=0)


def _bmp_header_bomb(random_: random.Random) -> bytes:
    small = bytearray(encoded(Image.new("RGB", (8, 8)), "BMP"))
    small[18:26] = struct.pack("<ii", *random_.choice(((30000, 30000), (7000, 7000), (8, -8))))
    return bytes(small)
