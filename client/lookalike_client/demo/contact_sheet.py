"""A picture of queries and their hits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, ImageOps

# Everything is drawn at twice the size and scaled down, which smooths round corners.
_SCALE = 2
_TILE, _GAP, _MARGIN = 168, 18, 36
_CAPTION, _ROW_TITLE, _HEADER = 46, 40, 92

_PAGE = "#f4f5f7"
_CARD = "#ffffff"
_EDGE = "#dde1e7"
_INK = "#1c2430"
_FAINT = "#6b7685"
_QUERY = "#2f6fed"
# Least score, badge: near-copies, clear likeness, the rest.
_BADGES = ((0.9, "#137a4b"), (0.6, "#9a6a00"), (-1.0, "#7a8594"))


@dataclass(frozen=True, slots=True)
class SheetHit:
    """A hit: its picture, its name, its score."""

    path: Path
    name: str
    score: float


@dataclass(frozen=True, slots=True)
class SheetRow:
    """A query and its hits."""

    title: str
    query: Path
    query_name: str
    hits: Sequence[SheetHit]


def draw(rows: Sequence[SheetRow], title: str, subtitle: str, target: Path) -> None:
    """Write the sheet to `target`, as PNG."""
    columns = 1 + max((len(row.hits) for row in rows), default=0)
    row_height = _ROW_TITLE + _TILE + _CAPTION + _GAP
    width = 2 * _MARGIN + columns * _TILE + (columns - 1) * _GAP + _GAP
    height = _HEADER + len(rows) * row_height + _MARGIN
    page = Image.new("RGB", (width * _SCALE, height * _SCALE), _PAGE)
    pen = _Pen(page)
    pen.text((_MARGIN, 26), title, 26, _INK)
    pen.text((_MARGIN, 60), subtitle, 14, _FAINT)
    for number, row in enumerate(rows):
        _draw_row(pen, row, _HEADER + number * row_height)
    page.resize((width, height), Image.Resampling.LANCZOS).save(target, optimize=True)


def _draw_row(pen: _Pen, row: SheetRow, top: int) -> None:
    pen.text((_MARGIN, top + 8), row.title, 16, _INK)
    tiles_top = top + _ROW_TITLE
    pen.card((_MARGIN, tiles_top), row.query, edge=_QUERY, edge_width=3)
    pen.badge((_MARGIN, tiles_top), "query", _QUERY)
    pen.caption((_MARGIN, tiles_top + _TILE), row.query_name)
    line_x = _MARGIN + _TILE + _GAP
    pen.line((line_x, tiles_top), (line_x, tiles_top + _TILE))
    for column, hit in enumerate(row.hits):
        left = line_x + _GAP + column * (_TILE + _GAP)
        pen.card((left, tiles_top), hit.path, edge=_EDGE, edge_width=1)
        colour = next(each for least, each in _BADGES if hit.score >= least)
        pen.badge((left, tiles_top), f"{hit.score:.3f}", colour)
        pen.caption((left, tiles_top + _TILE), hit.name)


class _Pen:
    """Draws in units of the finished sheet."""

    def __init__(self, page: Image.Image) -> None:
        self._page = page
        self._draw = ImageDraw.Draw(page)

    def text(self, at: tuple[int, int], text: str, size: int, colour: str) -> None:
        """Write one line; `at` is its upper left."""
        self._draw.text(_big(at), text, fill=colour, font=_font(size))

    def line(self, start: tuple[int, int], end: tuple[int, int]) -> None:
        """Draw a faint line."""
        self._draw.line((_big(start), _big(end)), fill=_EDGE, width=2 * _SCALE)

    def card(self, at: tuple[int, int], path: Path, *, edge: str, edge_width: int) -> None:
        """Place a picture, whole, on a card of a tile's size."""
        left, top = at
        box = (*_big(at), *_big((left + _TILE, top + _TILE)))
        self._draw.rounded_rectangle(
            box, radius=12 * _SCALE, fill=_CARD, outline=edge, width=edge_width * _SCALE
        )
        inner = (_TILE - 16) * _SCALE
        with Image.open(path) as opened:
            opened.draft("RGB", (inner, inner))
            upright = ImageOps.exif_transpose(opened).convert("RGBA")
        picture = ImageOps.contain(upright, (inner, inner), Image.Resampling.LANCZOS)
        mask = Image.new("L", picture.size, 0)
        ImageDraw.Draw(mask).rounded_rectangle(
            (0, 0, picture.width - 1, picture.height - 1), radius=7 * _SCALE, fill=255
        )
        backed = Image.new("RGB", picture.size, _CARD)
        backed.paste(picture, mask=picture.getchannel("A"))
        x = left * _SCALE + (_TILE * _SCALE - picture.width) // 2
        y = top * _SCALE + (_TILE * _SCALE - picture.height) // 2
        self._page.paste(backed, (x, y), mask)

    def badge(self, at: tuple[int, int], text: str, colour: str) -> None:
        """Write a word on a coloured pill over the upper left of a card."""
        font = _font(13)
        width = self._draw.textlength(text, font=font) / _SCALE
        left, top = at[0] + 8, at[1] - 9
        box = (*_big((left, top)), (left + width + 16) * _SCALE, (top + 20) * _SCALE)
        self._draw.rounded_rectangle(box, radius=10 * _SCALE, fill=colour)
        middle = ((left + 8 + width / 2) * _SCALE, (top + 10) * _SCALE)
        self._draw.text(middle, text, fill="#ffffff", font=font, anchor="mm")

    def caption(self, at: tuple[int, int], name: str) -> None:
        """Write a name under a card, the folder fainter than the file."""
        folder, _, file = name.rpartition("/")
        left, top = at
        self.text((left + 4, top + 6), self._fitted(file, 13), 13, _INK)
        if folder:
            self.text((left + 4, top + 23), self._fitted(folder, 12), 12, _FAINT)

    def _fitted(self, text: str, size: int) -> str:
        font, room = _font(size), (_TILE - 8) * _SCALE
        if self._draw.textlength(text, font=font) <= room:
            return text
        while text and self._draw.textlength(text + "…", font=font) > room:
            text = text[:-1]
        return text + "…"


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size * _SCALE)  # Pillow carries this one


def _big(at: tuple[int, int]) -> tuple[int, int]:
    return at[0] * _SCALE, at[1] * _SCALE
