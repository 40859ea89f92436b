"""embed.7: does a vector find its own kind? Leave-one-out on labelled photographs."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from embedder_service.models import spec
from embedder_service.models.choice import define
from embedder_service.models.definition import ModelDefinition
from embedder_service.runner import unit_vectors
from embedder_service.runtimes.choice import load_runtime
from embedder_service.runtimes.protocol import Runtime, RuntimeUnsupported
from lookalike.wire.vectors import F32
from tests.bench.embed import images
from tests.bench.embed.emulated import EmulatedBf16
from tests.bench.embed.run import WORK, Missing, Run

FASHION = "P@10 on fashion (60 article types), Lite2 f32, leave one out"
EXPECTED = (("embed.7", FASHION, "", ">= 0.7"),)
# Fashion by article type, groceries by fine class: the columns that tell most.
_SETS = (("fashion", 2), ("grocery", 1))
_MODELS = ("efficientnet-lite2", "efficientnet-lite0")
_BATCH = 2


def measure(run: Run) -> None:
    """Embed both sets with each model and precision; add a row for each."""
    if not images.labelled("fashion"):
        raise Missing("the labelled photographs are not on this machine")
    table = ["| photographs | model | precision | P@1 | P@10 | mAP |", "|---|---|---|---|---|---|"]
    for name, column in _SETS:
        for model in _MODELS:
            for precision in ("f32", "bf16"):
                figures = _measure_one(run, model, precision, name, column)
                cells = " | ".join(f"{figure:.3f}" for figure in figures)
                table.append(f"| {name} | {model} | {precision} | {cells} |")
    print("\n".join(table))


def _measure_one(
    run: Run, model: str, precision: str, name: str, column: int
) -> tuple[float, float, float]:
    """Add the rows of one set, model and precision; return P@1, P@10 and mAP."""
    rows = images.labelled(name)
    rows = rows[: max(int(len(rows) * run.scale), 50)]
    row_id = f"embed.7{model[-1]}{precision[0]}{name[0]}"
    what = f"{name}, {model} {precision}: P@1, P@10, mAP"
    definition = define(spec.parse(model), precision)
    runtime = _load(definition)
    prepare = definition.preprocess
    vectors = _embed(runtime, [row[0] for row in rows], prepare.size_px)
    p1, p10, mean_ap = leave_one_out(vectors, [str(row[column]) for row in rows])
    figures: dict[str, object] = {
        "P@1": round(p1, 3),
        "P@10": round(p10, 3),
        "mAP": round(mean_ap, 3),
    }
    run.report.stated(row_id, f"{what} ({runtime.name})", figures, "")
    if (model, precision, name) == ("efficientnet-lite2", "f32", "fashion"):
        run.report.at_least("embed.7", FASHION, p10, "", 0.70)
    return p1, p10, mean_ap


def _load(definition: ModelDefinition) -> Runtime:
    """Load with OpenVINO; where the CPU has no bf16, emulate it."""
    try:
        return load_runtime(
            definition, "openvino", threads=0, max_batch_images=_BATCH, cache_dir=WORK / "models"
        )
    except RuntimeUnsupported:
        return EmulatedBf16(definition)


def _embed(runtime: Runtime, files: list[Path], size_px: int) -> F32:
    from tests.bench.embed.bare import decode_square

    vectors = []
    for first in range(0, len(files), _BATCH):
        batch = files[first : first + _BATCH]
        pixels = np.stack([decode_square(file.read_bytes(), size_px) for file in batch])
        vectors.append(unit_vectors(runtime.infer(pixels), len(batch)))
    return np.concatenate(vectors)


def leave_one_out(vectors: F32, labels: list[str]) -> tuple[float, float, float]:
    """Return P@1, P@10 and mAP; a class of one is no query but stays in the gallery."""
    names = np.array(labels)
    scores = vectors @ vectors.T
    np.fill_diagonal(scores, -np.inf)
    order = np.argsort(-scores, axis=1)[:, :-1]
    hits = names[order] == names[:, None]
    hits = hits[hits.any(axis=1)]
    ranks = np.arange(1, hits.shape[1] + 1)
    precision_at = hits.cumsum(axis=1) / ranks
    average = (precision_at * hits).sum(axis=1) / hits.sum(axis=1)
    return float(hits[:, 0].mean()), float(precision_at[:, 9].mean()), float(average.mean())
