"""encoders.3: what a projection to 256 or 128 dimensions keeps of Lite2's quality."""

from __future__ import annotations

from embedder_service.runner import unit_vectors
from lookalike.wire.projection import ProjectionFit
from lookalike.wire.vectors import F32
from tests.bench.embed.quality import leave_one_out
from tests.bench.encoders.embedding import embed, labelled, photographs
from tests.bench.report import Report

MODEL = "efficientnet-lite2"
EXPECTED = ("encoders.3a", "Lite2 with PCA-256 and -128: P@1, P@10 and mAP", "", "stated")

# Fashion by article type, groceries by fine class, as in embed.7.
_SETS = (("fashion", 2), ("grocery", 1))
_FORMS = (
    (0, False, "all 1,280 dimensions"),
    (256, False, "PCA-256"),
    (256, True, "PCA-256, whitened"),
    (128, False, "PCA-128"),
    (128, True, "PCA-128, whitened"),
)


def measure(report: Report) -> None:
    """Add a row for each set and form; a projection never saw the photographs it is tried on."""
    vectors = {name: embed(MODEL, labelled(name, column)[0]) for name, column in _SETS}
    others = embed(MODEL, photographs("neardup_photos"))
    for number, (name, column) in enumerate(_SETS):
        classes = labelled(name, column)[1]
        (elsewhere,) = (vectors[other] for other, _ in _SETS if other != name)
        for place, (dimension, whiten, what) in zip("abcde", _FORMS, strict=True):
            seen = _projected(vectors[name], [elsewhere, others], dimension, whiten=whiten)
            p1, p10, mean_ap = leave_one_out(seen, classes)
            figures: dict[str, object] = {
                "P@1": round(p1, 3), "P@10": round(p10, 3), "mAP": round(mean_ap, 3),
            }  # fmt: skip
            row = f"encoders.3{place}{number + 1}"
            report.stated(row, f"{name}, {MODEL}, {what}, fitted on other photographs", figures, "")
    own = vectors["fashion"]
    classes = labelled("fashion", 2)[1]
    for place, (dimension, whiten, what) in zip("fghi", _FORMS[1:], strict=True):
        p1, p10, mean_ap = leave_one_out(_projected(own, [own], dimension, whiten=whiten), classes)
        figures = {"P@1": round(p1, 3), "P@10": round(p10, 3), "mAP": round(mean_ap, 3)}
        told = f"fashion, {MODEL}, {what}, fitted on the same collection"
        report.stated(f"encoders.3{place}1", told, figures, "")


def _projected(vectors: F32, fitted_on: list[F32], dimension: int, *, whiten: bool) -> F32:
    if not dimension:
        return vectors
    fit = ProjectionFit("")
    for each in fitted_on:
        fit.add(each)
    shorter = fit.projection(dimension, whiten=whiten).apply(vectors)
    return unit_vectors(shorter, len(vectors))
