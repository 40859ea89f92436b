"""encoders.2: what is lost by looking at the middle, by padding, and by squashing."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageOps

from tests.bench.embed.quality import leave_one_out
from tests.bench.encoders.embedding import embed, labelled, photographs, png
from tests.bench.report import Report

MODEL = "efficientnet-lite2"
_SHAPES = ("crop", "pad", "squash")
EXPECTED = ("encoders.2a", "crop, pad, squash: P@1, P@10 and mAP", "", "stated")

# Fashion by article type, groceries by fine class, as in embed.7.
_SETS = (("fashion", 2), ("grocery", 1))
_PANORAMA = 3  # times as wide as high


def measure(report: Report) -> None:
    """Add rows of retrieval, of panoramas that differ at the ends, and of copies."""
    plain = [_opened(data) for data in photographs("neardup_photos")]
    for place, shape in zip("abc", _SHAPES, strict=True):
        model = MODEL if shape == "crop" else f"{MODEL}@{shape}"
        for number, (name, column) in enumerate(_SETS):
            files, classes = labelled(name, column)
            p1, p10, mean_ap = leave_one_out(embed(model, files), classes)
            figures: dict[str, object] = {
                "P@1": round(p1, 3), "P@10": round(p10, 3), "mAP": round(mean_ap, 3),
            }  # fmt: skip
            report.stated(f"encoders.2{place}{number + 1}", f"{name}, {model}", figures, "")
        _panoramas(report, f"encoders.2{place}3", model, plain)
        _copies(report, f"encoders.2{place}4", model, plain)


def _panoramas(report: Report, row: str, model: str, plain: list[Image.Image]) -> None:
    """Two panoramas with one middle and other ends: how alike are they?"""
    squares = [ImageOps.fit(picture, (240, 240)) for picture in plain[:90]]
    pairs = []
    for at in range(0, 90, 5):
        middle, *ends = squares[at : at + 5]
        pairs += [_side_by_side(ends[0], middle, ends[1]), _side_by_side(ends[2], middle, ends[3])]
    vectors = embed(model, [png(picture) for picture in pairs])
    cosines = (vectors[::2] * vectors[1::2]).sum(axis=1)
    what = f"{model}: median cosine of two panoramas that share their middle third alone"
    report.stated(row, what, float(np.median(cosines)), "")


def _copies(report: Report, row: str, model: str, plain: list[Image.Image]) -> None:
    """Of copies that lack a part, how many find their picture first among all 150?"""
    stored = embed(model, [png(picture) for picture in plain])
    figures: dict[str, object] = {}
    for name, change in _CHANGES.items():
        vectors = embed(model, [png(change(picture)) for picture in plain])
        first = (vectors @ stored.T).argmax(axis=1)
        figures[name] = round(float((first == np.arange(len(plain))).mean()), 3)
    report.stated(
        row, f"{model}: share of changed copies that find their picture first", figures, ""
    )


def _part(
    left: float, top: float, right: float, bottom: float
) -> Callable[[Image.Image], Image.Image]:
    def cut(picture: Image.Image) -> Image.Image:
        width, height = picture.size
        box = (int(left * width), int(top * height), int(right * width), int(bottom * height))
        return picture.crop(box)

    return cut


def _stretched(picture: Image.Image) -> Image.Image:
    return picture.resize((picture.width * 4 // 3, picture.height))


def _bordered(picture: Image.Image) -> Image.Image:
    return ImageOps.pad(picture, (max(picture.size),) * 2, color=(255, 255, 255))


_CHANGES = {
    "middle 70 %": _part(0.15, 0.15, 0.85, 0.85),
    "left half": _part(0.0, 0.0, 0.5, 1.0),
    "top half": _part(0.0, 0.0, 1.0, 0.5),
    "stretched by a third": _stretched,
    "white border": _bordered,
}


def _opened(data: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(data)).convert("RGB")
    picture.info.pop("icc_profile", None)
    return picture


def _side_by_side(*squares: Image.Image) -> Image.Image:
    side = squares[0].width
    whole = Image.new("RGB", (_PANORAMA * side, side))
    for at, square in enumerate(squares):
        whole.paste(square, (at * side, 0))
    return whole
