"""encoders.5: does the face encoder find a person, and from which cosine is it the same one?

Its file is `build/faces.safetensors`, which the command in docs/guide/models.md makes.
"""

from __future__ import annotations

import numpy as np

from tests.bench.embed.quality import leave_one_out
from tests.bench.encoders.embedding import Missing, embed, labelled
from tests.bench.report import Report
from tests.integration.embedder_process import ROOT

FILE = ROOT / "build" / "faces.safetensors"
_FALSE_SHARE = 0.01
EXPECTED = ("encoders.5a", "200 photographs of 20 faces, P@1", "", ">= 0.99")


def measure(report: Report) -> None:
    """Add rows of retrieval and verification, the threshold from one half of the people."""
    if not FILE.is_file():
        raise Missing(
            "build/faces.safetensors is not there: docs/guide/models.md says how to make it"
        )
    files, people = labelled("faces_orl", 1)
    vectors = embed(f"faces:{FILE}", files)
    p1, _, mean_ap = leave_one_out(vectors, people)
    report.at_least("encoders.5a", EXPECTED[1], round(p1, 4), "", 0.99)
    report.at_least("encoders.5b", "the same, mAP", round(mean_ap, 4), "", 0.98)
    names = sorted(set(people))
    told = np.array([names.index(person) for person in people])
    for place, fitted, tried in (("c", 0, 1), ("d", 1, 0)):
        # Halves of the people, so that a threshold never saw those that it is tried on.
        same, other = _pairs(vectors[told % 2 == fitted], told[told % 2 == fitted])
        threshold = float(np.quantile(other, 1 - _FALSE_SHARE))
        same, other = _pairs(vectors[told % 2 == tried], told[told % 2 == tried])
        figures: dict[str, object] = {
            "threshold": round(threshold, 3),
            "true positives": round(float((same >= threshold).mean()), 3),
            "false positives": round(float((other >= threshold).mean()), 4),
        }
        what = "threshold for 1 % false positives on 10 people, tried on 10 others"
        report.stated(f"encoders.5{place}", what, figures, "")
    same, other = _pairs(vectors, told)
    threshold = float(np.quantile(other, 1 - _FALSE_SHARE))
    figures = {
        "threshold": round(threshold, 3),
        "true positives": round(float((same >= threshold).mean()), 3),
    }
    report.stated("encoders.5e", "all 20 people at 1 % false positives", figures, "")


def _pairs(vectors: np.ndarray, people: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the cosines of all pairs of one person, and of all pairs of two."""
    above = np.triu_indices(len(vectors), 1)
    cosines = (vectors @ vectors.T)[above]
    alike = (people[:, None] == people)[above]
    return cosines[alike], cosines[~alike]
