"""The advice: against what was measured, at its bounds, and on the command line."""

from __future__ import annotations

import json
import math
import shlex
from dataclasses import replace
from pathlib import Path

import click
import pytest

from lookalike.wire.errors import InvalidField
from lookalike_client.advise import tables
from lookalike_client.advise.model import Estimate, Needs, advise
from lookalike_client.advise.sizes import node_bytes, size_text
from lookalike_client.cli.collections import collections
from lookalike_client.cli.main import run
from search_service.domain.collection import Dtype, IndexSettings, Preset
from search_service.presets import index_settings
from search_service.segments.building.graph import Graph
from search_service.segments.encoder import fit_encoder
from tests.bench.search.dataset import HardVectors

MILLION = Needs(
    count=1_000_000, dimension=512, memory_bytes=8 << 30, p99_ms=100.0, recall=0.95, fields=10
)

_LIGHT_AND_FULL = ("HNSW reduced, light", "HNSW full")


def ways(needs: Needs) -> dict[str, Estimate]:
    return {estimate.name: estimate for estimate in advise(needs).alternatives}


def test_a_million_items_get_a_reduced_graph_and_see_every_alternative() -> None:
    advice = advise(MILLION)
    best = advice.recommended
    assert best is not None
    assert best.name.startswith("HNSW reduced")
    assert best.graph_dimension == 256
    assert best.recall is not None
    assert best.recall >= 0.95
    names = " ".join(each.name for each in advice.alternatives)
    for kind in ("exact scan", "HNSW full", "HNSW reduced", "bf16", "IVF-PQ"):
        assert kind in names
    assert best in advice.alternatives
    for each in advice.alternatives:
        assert (each is best) or each.shortfalls or (each.p99_ms or 0) >= (best.p99_ms or 0)
    for quantity in ("recall", "latency", "memory", "disk", "build", "IVF-PQ"):
        assert advice.sources[quantity]


def test_estimates_meet_the_measured_points() -> None:
    """Light at 256: 482 us at 40,000; a million, full: 2.4 ms for each 0.675, as measured."""
    light, full = ({way.name: way for way in tables.WAYS}[name] for name in _LIGHT_AND_FULL)
    recall = 1 - light.misses[256] * tables.PHOTOGRAPH_FACTOR - 1e-9
    small = ways(replace(MILLION, count=40_000, recall=recall))[light.name]
    assert small.expansion_search == 256
    assert small.p99_ms == pytest.approx(0.482 * tables.TAIL + tables.CALL_MS)
    assert small.build_s == pytest.approx(21.6 / 2)
    growth = math.exp(tables.MISS_GROWTH * math.log(1_000_000 / tables.REFERENCE_ITEMS))
    recall = 1 - full.misses[256] * tables.PHOTOGRAPH_FACTOR * growth - 1e-9
    large = ways(replace(MILLION, recall=recall))[full.name]
    assert large.expansion_search == 256
    million_ms = full.search_us / 1e3 * 2.4 / 0.675
    assert large.p99_ms == pytest.approx(million_ms * tables.TAIL + tables.CALL_MS, rel=0.05)
    graph = large.least_memory_bytes - ways(MILLION)["exact scan"].least_memory_bytes + 2_048e6
    assert graph == pytest.approx(1.3e9, rel=0.02)


@pytest.mark.parametrize(
    ("connectivity", "dtype"), [(16, Dtype.BF16), (32, Dtype.I8), (16, Dtype.I4)]
)
def test_the_size_of_a_graph_is_that_of_the_file(
    connectivity: int, dtype: Dtype, tmp_path: Path
) -> None:
    rows = HardVectors(256).rows(0, 3_000)
    settings = IndexSettings(Preset.BALANCED, dtype, connectivity, 40, 0, 128)
    encoder = fit_encoder(rows, 128, dtype)
    graph = Graph(settings, encoder.width, reduced=True)
    graph.add(encoder.encode(rows), threads=1)
    graph.save(tmp_path / "graph")
    component = 2 if dtype is Dtype.BF16 else 1
    expected = 128 * component + tables.LINK_BYTES * connectivity + tables.NODE_BYTES
    assert (tmp_path / "graph").stat().st_size / 3_000 == pytest.approx(expected, rel=0.03)


def test_the_tables_are_of_the_presets_that_the_service_has() -> None:
    presets = [way for way in tables.WAYS if way.preset]
    assert [way.preset for way in presets] == [each.value for each in Preset]
    for way in presets:
        preset = index_settings(Preset(way.preset), 512)
        assert (way.connectivity, way.expansion_add) == (preset.connectivity, preset.expansion_add)
        assert way.dtype == preset.dtype
        assert preset.graph_dimension == 256


def test_lean_takes_half_of_the_memory_and_is_advised_where_there_is_little() -> None:
    named = {way.preset: way for way in tables.WAYS if way.preset}
    lean, balanced = (node_bytes(named[name], 256, 1_000_000) for name in ("lean", "balanced"))
    assert lean < 0.4 * balanced
    assert node_bytes(named["lean"], 256, 40_000) == pytest.approx(180)
    found = ways(replace(MILLION, fields=0))
    little = found[named["lean"].name].least_memory_bytes
    assert little < min(
        each.least_memory_bytes
        for name, each in found.items()
        if "lean" not in name and "IVF" not in name
    )
    best = advise(replace(MILLION, fields=0, memory_bytes=little)).recommended
    assert best is not None
    assert "--preset lean" in best.command


def test_a_hundred_hits_are_planned_for_by_the_recall_of_a_hundred() -> None:
    for name, each in ways(replace(MILLION, recall_at=100)).items():
        ten = ways(MILLION)[name]
        if each.expansion_search is None or ten.expansion_search is None:
            continue
        assert each.expansion_search >= 320
        assert each.recall is not None
        assert each.recall >= 0.95
        assert (each.p99_ms or 0) > 0
    best = advise(replace(MILLION, recall_at=100)).recommended
    assert best is not None


def test_more_recall_costs_more_and_more_items_cost_more() -> None:
    for way in tables.WAYS:
        loose = ways(replace(MILLION, recall=0.9))[way.name]
        strict = ways(replace(MILLION, recall=0.97))[way.name]
        assert (loose.expansion_search or 0) <= (strict.expansion_search or 0)
        assert (loose.p99_ms or 0) <= (strict.p99_ms or 0)
        larger = ways(replace(MILLION, count=4_000_000))[way.name]
        base = ways(MILLION)[way.name]
        assert larger.memory_bytes > 3.5 * base.memory_bytes
        assert (larger.build_s or 0) > 4 * (base.build_s or 0)
        assert any("extrapolated" in note for note in larger.notes)
        assert not any("extrapolated" in note for note in base.notes)


def test_a_small_collection_is_scanned() -> None:
    advice = advise(replace(MILLION, count=9_999))
    assert [each.name for each in advice.alternatives] == ["exact scan", "IVF-PQ, elsewhere"]
    assert advice.recommended is not None
    assert advice.recommended.recall == 1.0
    assert len(ways(replace(MILLION, count=10_000))) > 2


def test_few_dimensions_are_not_reduced() -> None:
    found = ways(replace(MILLION, dimension=255))
    assert "HNSW full" not in found
    assert found["HNSW reduced, balanced"].graph_dimension == 255
    assert ways(replace(MILLION, dimension=256))["HNSW reduced, balanced"].graph_dimension == 128


def test_what_misses_a_bound_says_which() -> None:
    tight = replace(MILLION, memory_bytes=1 << 30, p99_ms=0.5, recall=0.999)
    advice = advise(tight)
    assert advice.recommended is None
    full = {each.name: each for each in advice.alternatives}["HNSW full"]
    text = "; ".join(full.shortfalls)
    assert "recall" in text
    assert "p99" in text
    assert "of memory" in text


def test_bounds_are_met_at_the_bound_and_missed_one_past_it() -> None:
    best = advise(MILLION).recommended
    assert best is not None
    assert best.p99_ms is not None
    exact = replace(MILLION, memory_bytes=best.memory_bytes, p99_ms=best.p99_ms)
    assert not ways(exact)[best.name].shortfalls
    assert ways(replace(exact, p99_ms=best.p99_ms * 0.999))[best.name].shortfalls
    least = replace(MILLION, memory_bytes=best.least_memory_bytes)
    from_disk = ways(least)[best.name]
    assert not from_disk.shortfalls
    assert "read from disk" in "; ".join(from_disk.notes)
    assert from_disk.p99_ms is not None
    assert from_disk.p99_ms > best.p99_ms
    short = replace(least, memory_bytes=best.least_memory_bytes - 1)
    assert ways(short)[best.name].shortfalls


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"count": 0}, "count"),
        ({"count": 10**9 + 1}, "count"),
        ({"dimension": 1}, "dim"),
        ({"dimension": 4_097}, "dim"),
        ({"fields": -1}, "fields"),
        ({"memory_bytes": (1 << 20) - 1}, "memory"),
        ({"p99_ms": 0.0}, "p99-ms"),
        ({"p99_ms": float("nan")}, "p99-ms"),
        ({"recall": 0.49}, "recall"),
        ({"recall_at": 50}, "recall-at"),
        ({"recall": 1.01}, "recall"),
        ({"recall": float("nan")}, "recall"),
    ],
)
def test_a_need_that_cannot_be_is_refused(change: dict[str, float], field: str) -> None:
    with pytest.raises(InvalidField) as caught:
        advise(replace(MILLION, **change))  # type: ignore[arg-type]  # fields of several types
    assert caught.value.field == field


@pytest.mark.parametrize("dimension", [128, 512])
def test_the_advised_command_is_one_that_the_command_line_takes(dimension: int) -> None:
    for each in advise(replace(MILLION, dimension=dimension)).alternatives:
        if each.expansion_search is None:
            continue
        words = shlex.split(each.command)
        assert words[:3] == ["lookalike", "collections", "create"]
        create = collections.commands["create"]
        context = create.make_context("create", words[3:])
        given = context.params
        assert given["expansion_search"] == each.expansion_search
        preset = index_settings(Preset(given["preset"]), dimension)
        assert (given["scalar_type"] or preset.dtype) == each.dtype
        assert (given["connectivity"] or preset.connectivity) == each.connectivity
        assert (given["expansion_add"] or preset.expansion_add) == each.expansion_add
        width = preset.graph_dimension if given["graph_dimension"] is None else 0
        assert (width or dimension) == each.graph_dimension


def test_the_command_prints_the_advice_as_a_table_and_as_json(
    capsys: pytest.CaptureFixture[str],
) -> None:
    bounds = ["--memory", "8GiB", "--p99-ms", "100", "--recall", "0.95"]
    asked = ["advise", "--count", "1000000", "--dim", "512", *bounds]
    assert run(asked) == 0
    text = capsys.readouterr().out
    for shown in ("advised", "IVF-PQ", "collections create NAME", "Where the numbers come from"):
        assert shown in text
    assert run([*asked, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["needs"]["memory_bytes"] == 8 << 30
    assert document["recommended"]["expansion_search"] % 8 == 0
    assert len(document["alternatives"]) == 9


def test_the_command_says_when_nothing_fits(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["advise", "--count", "1000000000", "--memory", "1GiB"]) == 1
    assert "Nothing meets all the bounds" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        ("advise --memory 8GiB", 2, "--count"),
        ("advise --count many --memory 8GiB", 2, "'many' is not a valid integer"),
        ("advise --count 10 --memory lots", 2, "write it as 8GiB"),
        ("advise --count 10 --memory=-1GiB", 2, "write it as 8GiB"),
        ("advise --count 10 --memory 8", 1, "memory: must be 1 MiB or more"),
        ("advise --count -5 --memory 8GiB", 1, "count: must be 1 to 1,000,000,000, got -5"),
        ("advise --count 10 --memory 8GiB --recall 2", 1, "recall: must be 0.5 to 1, got 2"),
        ("advise --count 10 --memory 8GiB --p99-ms 0", 1, "p99-ms: must be a number above 0"),
        ("advise --count 10 --memory 8GiB --dim 5000", 1, "dim: must be 2 to 4,096, got 5,000"),
    ],
)
def test_bad_input_is_answered_with_one_clear_line(
    arguments: str, code: int, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments.split()) == code
    printed = capsys.readouterr()
    assert printed.out == ""
    assert says in printed.err
    assert printed.err.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "size"),
    [("8GiB", 8 << 30), ("8G", 8 << 30), ("16 gb", 16 * 10**9), ("1.5TiB", 3 << 39)],
)
def test_sizes_are_read(text: str, size: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["advise", "--count", "10", "--memory", text, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["needs"]["memory_bytes"] == size


def test_sizes_are_written() -> None:
    assert [size_text(each) for each in (5, 2_048, 3 << 30, 5 << 40)] == [
        *("5 B", "2.0 KiB", "3.0 GiB", "5.0 TiB")
    ]


def test_the_command_is_registered() -> None:
    from lookalike_client.cli.main import cli

    assert isinstance(cli.get_command(click.Context(cli), "advise"), click.Command)
