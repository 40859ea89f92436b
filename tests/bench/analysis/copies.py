"""Pictures made from others: copies of a picture, and pictures that are only like it."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont, ImageOps

Draw = np.random.Generator
Edit = Callable[[Image.Image, Draw], Image.Image]

_WORDS = (
    *("the", "of", "search", "picture", "index", "near", "copy", "page", "line", "report"),
    *("measure", "year", "first", "value", "time", "between", "which", "under", "result"),
    *("table", "only", "more", "than", "because", "small", "large", "number", "figure"),
)


def as_jpeg(picture: Image.Image, quality: int) -> bytes:
    """Return a picture as a JPEG."""
    out = io.BytesIO()
    picture.convert("RGB").save(out, "JPEG", quality=quality)
    return out.getvalue()


def recompressed(picture: Image.Image, draw: Draw) -> Image.Image:
    return Image.open(io.BytesIO(as_jpeg(picture, int(draw.integers(20, 60))))).convert("RGB")


def resized(picture: Image.Image, draw: Draw) -> Image.Image:
    share = draw.uniform(0.3, 0.8)
    size = (max(32, int(picture.width * share)), max(32, int(picture.height * share)))
    return picture.resize(size, Image.Resampling.LANCZOS)


def cropped(
    picture: Image.Image, draw: Draw, least: float = 0.8, most: float = 0.95
) -> Image.Image:
    """Keep a part: each side by a share of its own."""
    width = int(picture.width * draw.uniform(least, most))
    height = int(picture.height * draw.uniform(least, most))
    left = int(draw.integers(0, picture.width - width + 1))
    top = int(draw.integers(0, picture.height - height + 1))
    return picture.crop((left, top, left + width, top + height))


def centre_cropped(picture: Image.Image, draw: Draw) -> Image.Image:
    """Keep nine tenths of each side."""
    dx, dy = picture.width // 20, picture.height // 20
    return picture.crop((dx, dy, picture.width - dx, picture.height - dy))


def recoloured(picture: Image.Image, draw: Draw) -> Image.Image:
    way = int(draw.integers(4))
    if way == 0:
        return ImageOps.grayscale(picture).convert("RGB")
    if way == 1:
        return ImageEnhance.Color(picture).enhance(draw.uniform(0.2, 2.0))
    if way == 2:
        picture = ImageEnhance.Brightness(picture).enhance(draw.uniform(0.7, 1.3))
        return ImageEnhance.Contrast(picture).enhance(draw.uniform(0.7, 1.3))
    gains = draw.uniform(0.75, 1.25, size=3)
    return Image.fromarray(np.clip(np.asarray(picture) * gains, 0, 255).astype(np.uint8))


def watermarked(picture: Image.Image, draw: Draw) -> Image.Image:
    """Write over it: half-transparent words across, or a line in a corner."""
    layer = Image.new("RGBA", picture.size, (0, 0, 0, 0))
    pen = ImageDraw.Draw(layer)
    if draw.integers(2):
        font = ImageFont.load_default(size=max(10, picture.width // 8))
        for place in (0.15, 0.45, 0.75):
            at = (picture.width * 0.05, picture.height * place)
            pen.text(at, "SAMPLE 2026", font=font, fill=(255, 255, 255, 110))
    else:
        font = ImageFont.load_default(size=max(8, picture.width // 16))
        at = (picture.width * 0.5, picture.height * 0.9)
        pen.text(at, "(c) somebody", font=font, fill=(255, 255, 255, 230))
    return Image.alpha_composite(picture.convert("RGBA"), layer).convert("RGB")


def softened(picture: Image.Image, draw: Draw) -> Image.Image:
    if draw.integers(2):
        return picture.filter(ImageFilter.UnsharpMask(2, 120, 2))
    return picture.filter(ImageFilter.GaussianBlur(draw.uniform(0.5, 1.5)))


def framed(picture: Image.Image, draw: Draw) -> Image.Image:
    """Put a border around it."""
    border = int(min(picture.size) * draw.uniform(0.02, 0.08))
    return ImageOps.expand(picture, border, fill=(255, 255, 255) if draw.integers(2) else 0)


def all_at_once(picture: Image.Image, draw: Draw) -> Image.Image:
    """Crop, shrink, change colours and compress."""
    for edit in (cropped, resized, recoloured, recompressed):
        picture = edit(picture, draw)
    return picture


COPIES: Mapping[str, Edit] = {
    "recompressed": recompressed,
    "resized": resized,
    "cropped": cropped,
    "centre-cropped": centre_cropped,
    "re-coloured": recoloured,
    "watermarked": watermarked,
    "softened": softened,
    "framed": framed,
    "all at once": all_at_once,
}


def other_crops(picture: Image.Image, draw: Draw) -> tuple[Image.Image, Image.Image]:
    """Two parts of a picture that share less than three quarters of themselves."""
    while True:
        share = draw.uniform(0.45, 0.7)
        width, height = int(picture.width * share), int(picture.height * share)
        lefts = draw.integers(0, picture.width - width + 1, size=2).tolist()
        tops = draw.integers(0, picture.height - height + 1, size=2).tolist()
        common = max(0, width - abs(lefts[0] - lefts[1])) * max(0, height - abs(tops[0] - tops[1]))
        if common < 0.75 * width * height:
            one, two = (
                picture.crop((left, top, left + width, top + height))
                for left, top in zip(lefts, tops, strict=True)
            )
            return one, two


def page_of_text(draw: Draw) -> Image.Image:
    """A printed page: a heading and paragraphs, laid out as all others are."""
    page = Image.new("RGB", (620, 877), "white")
    pen = ImageDraw.Draw(page)
    font, heading = ImageFont.load_default(size=13), ImageFont.load_default(size=22)
    pen.text((60, 50), " ".join(draw.choice(_WORDS, 4)).title(), font=heading, fill="black")
    y = 100
    while y < 810:
        for line in range(int(draw.integers(3, 9))):
            text = " ".join(draw.choice(_WORDS, 30))
            length = 500 if line else 470
            while pen.textlength(text, font=font) > length:
                text = text[: text.rindex(" ")]
            pen.text((60, y), text, font=font, fill=(20, 20, 20))
            y += 18
            if y >= 810:
                break
        y += 12
    return page


def screenshot(draw: Draw) -> Image.Image:
    """A screen of one program: its bars and list are always there, what they say is not."""
    screen = Image.new("RGB", (800, 600), (246, 247, 250))
    pen = ImageDraw.Draw(screen)
    font = ImageFont.load_default(size=14)
    pen.rectangle((0, 0, 800, 48), fill=(40, 70, 140))
    pen.text((16, 14), "Mail - inbox", font=font, fill="white")
    pen.rectangle((0, 48, 170, 600), fill=(228, 231, 238))
    for place, name in enumerate(("Inbox", "Sent", "Drafts", "Archive", "Spam")):
        pen.text((20, 70 + 32 * place), name, font=font, fill=(50, 50, 60))
    for row in range(11):
        y = 60 + 48 * row
        tone = tuple(int(each) for each in draw.integers(60, 220, size=3))
        pen.ellipse((186, y, 222, y + 36), fill=tone)
        pen.text(
            (236, y), " ".join(draw.choice(_WORDS, int(draw.integers(2, 5)))), font=font, fill=0
        )
        body = " ".join(draw.choice(_WORDS, int(draw.integers(4, 11))))
        pen.text((236, y + 18), body, font=font, fill=(120, 120, 130))
    return screen


def later(picture: Image.Image, draw: Draw) -> Image.Image:
    """The same scene a moment later: the camera moved, and something in it did."""
    angle = draw.uniform(1.5, 4.0) * (1 if draw.integers(2) else -1)
    turned = picture.rotate(angle, Image.Resampling.BICUBIC)
    dx, dy = int(picture.width * 0.1), int(picture.height * 0.1)
    shift = draw.uniform(-0.6, 0.6, size=2)
    box = (
        dx + int(dx * shift[0]),
        dy + int(dy * shift[1]),
        picture.width - dx + int(dx * shift[0]),
        picture.height - dy + int(dy * shift[1]),
    )
    moved = turned.crop(box)
    # What is in the middle bulges sideways, as a face that turns does.
    width, height = moved.size
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    u, v = (x / width - 0.5) / 0.3, (y / height - 0.5) / 0.35
    push = np.exp(-(u**2 + v**2)) * width * draw.uniform(0.04, 0.08)
    source = np.clip(x - push, 0, width - 1).astype(np.int64)
    pixels = np.asarray(moved)[y.astype(np.int64), source]
    return Image.fromarray(pixels)
