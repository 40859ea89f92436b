"""encoders.4: do the encoders of looks find the look, and not the subject?"""

from __future__ import annotations

from tests.bench.embed.quality import leave_one_out
from tests.bench.encoders.embedding import embed
from tests.bench.encoders.style_sets import Pictures, recoloured, resurfaced
from tests.bench.report import Report

SUBJECTS = "efficientnet-lite2"
PALETTE = "style:palette"
TEXTURE = "style:texture"
_LEAST = 0.8
_MOST = 0.4
_RECOLOURED = "24 products in 12 palettes, P@10 of the palette"
_RESURFACED = "24 products with 10 surfaces in colours by chance, P@10 of the surface"
EXPECTED = ("encoders.4a", f"{_RECOLOURED}, {PALETTE}", "", f">= {_LEAST}")


def measure(report: Report) -> None:
    """Add rows for both sets: the look that each encoder finds, and the subject."""
    colours = recoloured()
    found = {model: _p10(model, colours) for model in (PALETTE, SUBJECTS, TEXTURE)}
    what = f"{_RECOLOURED}, "
    report.at_least("encoders.4a1", what + PALETTE, found[PALETTE][0], "", _LEAST)
    report.at_most("encoders.4a2", what + SUBJECTS, found[SUBJECTS][0], "", _MOST)
    report.stated("encoders.4a3", what + TEXTURE, found[TEXTURE][0], "")
    for place, model in enumerate(found, start=4):
        row = f"encoders.4a{place}"
        report.stated(row, f"the same, P@10 of the product, {model}", found[model][1], "")
    surfaces = resurfaced()
    found = {model: _p10(model, surfaces) for model in (TEXTURE, SUBJECTS, PALETTE)}
    for place, (model, (look, _)) in enumerate(found.items(), start=1):
        report.stated(f"encoders.4b{place}", f"{_RESURFACED}, {model}", look, "")
    for place, (model, (_, subject)) in enumerate(found.items(), start=4):
        row = f"encoders.4b{place}"
        report.stated(row, f"the same, P@10 of the product, {model}", subject, "")


def _p10(model: str, pictures: Pictures) -> tuple[float, float]:
    """Return P@10 of the look and of the subject."""
    vectors = embed(model, pictures.files)
    _, look, _ = leave_one_out(vectors, pictures.looks)
    _, subject, _ = leave_one_out(vectors, pictures.objects)
    return round(look, 3), round(subject, 3)
