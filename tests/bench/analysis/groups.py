"""Groups of real pictures with planted copies, through a whole system (analysis.2.groups)."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Iterable, Mapping
from itertools import combinations
from pathlib import Path

from lookalike_client import Client, DuplicatesReport, Fields
from lookalike_client.supervisor.launch import RunningSystem
from tests.bench.analysis.folders import pictures_of, plant_among, plant_simple
from tests.bench.report import Report
from tests.e2e.conftest import run_cli

# Of calibrations of these pictures at one false match in a hundred.
_PHOTOGRAPHS_FROM, _PRODUCTS_FROM = 0.8, 0.95
_INDEX_S = 1_800

Pairs = set[frozenset[str]]


def measure(report: Report) -> None:
    """Index both sets with their copies, find duplicates, and add rows."""
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        with RunningSystem(root / "system", []) as running:
            _photographs(report, running.search, root)
            _products(report, running.search, root)


def _photographs(report: Report, address: str, root: Path) -> None:
    folder = root / "photographs"
    folder.mkdir()
    sources = plant_simple(pictures_of("neardup_photos"), folder)
    found, same = _found(address, folder, _PHOTOGRAPHS_FROM)
    true = _pairs(_by_value(sources)) | same
    right = len(found & true)
    f1 = 2 * right / (len(found) + len(true))
    report.at_least("analysis.2.photographs", "pairwise F1, three copies each", f1, "", 0.97)


def _products(report: Report, address: str, root: Path) -> None:
    for name, simple in (("simple", True), ("all", False)):
        folder = root / f"products-{name}"
        folder.mkdir()
        files = pictures_of("fashion")
        if simple:
            sources = dict(plant_among(files, folder, 0, seed=3))
            sources |= plant_simple(files[::5], folder)
            sources = {name: source.removesuffix(".jpg") for name, source in sources.items()}
        else:
            sources = dict(plant_among(files, folder, 450, seed=3))
        found, same = _found(address, folder, _PRODUCTS_FROM)
        planted = _pairs(_by_value(sources))
        what = "JPEG q40, half size, 90 % crop" if simple else "all kinds of copies"
        precision = len(found & (planted | same)) / max(len(found), 1)
        recall = len(found & planted) / len(planted)
        row = f"analysis.2.products.{name}"
        report.at_least(f"{row}.precision", f"products, {what}", precision, "", 0.95)
        report.at_least(f"{row}.recall", f"products, {what}", recall, "", 0.9)


def _found(address: str, folder: Path, threshold: float) -> tuple[Pairs, Pairs]:
    """Return the pairs in groups, and those of equal files."""
    ran = run_cli(
        *("--address", address, "index", folder, "-c", folder.name, "--wait"), timeout_s=_INDEX_S
    )
    assert ran.code == 0, ran.err
    with Client(address) as client:
        found = client.analysis.find_duplicates(folder.name, threshold=threshold)
        items = client.list(folder.name, fields=Fields(facts=True))
        files = {item.id: item.facts.sha256 for item in items if item.facts is not None}
    return _grouped(found), _pairs(_by_value(files))


def _grouped(report: DuplicatesReport) -> Pairs:
    return _pairs([member.id for member in group.members] for group in report.groups)


def _by_value(values: Mapping[str, str]) -> Iterable[list[str]]:
    names: dict[str, list[str]] = defaultdict(list)
    for name, value in values.items():
        names[value].append(name)
    return names.values()


def _pairs(groups: Iterable[list[str]]) -> Pairs:
    return {frozenset(pair) for group in groups for pair in combinations(group, 2)}
