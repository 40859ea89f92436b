"""`lookalike evaluate` and `calibrate` as they are typed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from lookalike_client import Client, Query, VectorItem
from tests.e2e.conftest import RunCli

ITEMS, KINDS = 240, 8


@pytest.fixture
def labelled(client: Client) -> Iterator[str]:
    """A collection of vectors around eight centres, labelled by them."""
    rng = np.random.default_rng(3)
    kinds = rng.integers(0, KINDS, ITEMS)
    vectors = rng.normal(size=(KINDS, 16))[kinds] + rng.normal(scale=0.4, size=(ITEMS, 16))
    name = "labelled"
    client.collections.create(name, model=None, dimension=16)
    items = [
        VectorItem(f"item-{n}", vector, {"kind": f"kind-{kind}"})
        for n, (vector, kind) in enumerate(zip(vectors, kinds, strict=True))
    ]
    assert all(result.error is None for result in client.upsert_vectors(name, items))
    yield name
    client.collections.delete(name)


@pytest.fixture
def indexed(cli: RunCli, client: Client, photos: Path, tmp_path: Path) -> Iterator[Path]:
    """A folder of photographs that the collection "mine" holds."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("chelsea.png", "coffee.png", "astronaut.png", "rocket.jpg"):
        (folder / name).write_bytes((photos / name).read_bytes())
    assert cli("index", folder, "-c", "mine", "--wait").code == 0
    yield folder
    client.collections.delete("mine")


def test_an_evaluation_is_printed_and_written(cli: RunCli, labelled: str, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    ran = cli("evaluate", "-c", labelled, "--label-field", "kind", "-k", "5", "--html", page)
    assert ran.code == 0
    assert "240 queries among 240 items, 8 labels" in ran.out
    assert "precision@5" in ran.out
    assert "the whole call" in ran.out
    tables, named = ran.out.rsplit("page: ", 1)
    assert (named, max(map(len, tables.splitlines())) <= 80) == (f"{page}\n", True)
    assert page.read_text().startswith("<!doctype html>")

    document = cli("evaluate", "-c", labelled, "--label-field", "kind", "--json").json
    values = {each["name"]: each["value"] for each in document["report"]["metrics"]}
    assert 0.5 < values["precision@1"] <= 1.0
    assert len(document["latency_ms"]["the whole call"]) == 3
    assert {"search", "re-rank"} <= document["latency_ms"].keys()


def test_labels_that_are_not_there_are_one_line(cli: RunCli, labelled: str) -> None:
    ran = cli("evaluate", "-c", labelled, "--label-field", "nope")
    assert (ran.code, ran.out) == (1, "")
    assert 'no item has a label in the field "nope"' in ran.err
    assert len(ran.err.splitlines()) == 1


def test_pairs_are_read_from_a_table(cli: RunCli, labelled: str, tmp_path: Path) -> None:
    pairs = tmp_path / "pairs.csv"
    pairs.write_text("id,other_id,alike\nitem-0,item-1,1\nitem-2,item-3,0\n")
    ran = cli(
        *("calibrate", "-c", labelled, "--pairs", pairs, "--precision", "0.9", "--mode", "bound")
    )
    assert ran.code == 1
    assert "takes at least 29 images" in ran.err

    pairs.write_text("id,other_id,alike\nitem-0,item-1,maybe\n")
    ran = cli("calibrate", "-c", labelled, "--pairs", pairs, "--precision", "0.9")
    assert (ran.code, "line 2: alike is 'maybe'" in ran.err) == (1, True)
    pairs.write_text("first,second\n")
    ran = cli("calibrate", "-c", labelled, "--pairs", pairs, "--precision", "0.9")
    assert (ran.code, "has no column id" in ran.err) == (1, True)


def test_a_threshold_from_labels_is_kept_and_taken(cli: RunCli, labelled: str) -> None:
    ran = cli(
        *("calibrate", "-c", labelled, "--label-field", "kind"),
        *("--false-positive-rate", "0.2", "--keep", "--json"),
    )
    decision = ran.json["report"]["decision"]
    assert decision["false_positive_rate_at_most"] == 0.2
    assert cli("collections", "update", labelled, "--duplicates", "flag").code == 0
    shown = cli("collections", "show", labelled, "--json").json
    assert shown["duplicates"]["threshold"] == pytest.approx(decision["threshold"])
    assert shown["calibration"] == decision


def test_copies_of_the_indexed_images_are_evidence(
    cli: RunCli, indexed: Path, tmp_path: Path
) -> None:
    page = tmp_path / "calibration.html"
    options = ("-c", "mine", "--copies-of", indexed, "--false-positive-rate", "0.3")
    ran = cli("calibrate", *options, "--mode", "point", "--html", page)
    assert ran.code == 0
    assert "16 copies made of 4 images" in " ".join(ran.out.split())
    assert "promises nothing beyond the sample" in " ".join(ran.out.split())
    assert page.exists()
    ran = cli("calibrate", *options)
    assert (ran.code, "add pairs of other images" in ran.err) == (1, True)
    (indexed / "sub").mkdir()
    ran = cli("calibrate", "-c", "mine", "--copies-of", indexed / "sub", "--precision", "0.9")
    assert (ran.code, "none of the 0 images" in ran.err) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--precision", "0.9"), "Give --pairs"),
        (("--label-field", "kind"), "Give --precision or --false-positive-rate"),
        (("--label-field", "kind", "--precision", "1"), "--precision"),
    ],
)
def test_what_is_missing_is_named(
    cli: RunCli, labelled: str, arguments: tuple[str, ...], says: str
) -> None:
    ran = cli("calibrate", "-c", labelled, *arguments)
    assert (ran.code, says in ran.err) == (2, True)


def test_a_check_prints_what_to_do_and_fails_where_something_is_wrong(
    cli: RunCli, labelled: str
) -> None:
    ran = cli("check", "-c", labelled, "--filter", "kind = 'kind-1'", "--label-field", "kind")
    assert (ran.code, ran.out.startswith("240 items, 240 of them searched for: 0 fail")) == (
        0,
        True,
    )
    assert "ok   vector_norms" in ran.out

    ran = cli("check", "-c", labelled, "--filter", "knd = 'kind-1'", "--field", "size")
    assert ran.code == 1
    assert "FAIL filters_match" in ran.out
    assert 'did you mean "kind"' in " ".join(ran.out.split())
    assert max(map(len, ran.out.splitlines())) <= 80

    ran = cli("check", "-c", labelled, "--field", "size", "--json")
    assert (ran.code, ran.json["verdict"]) == (1, "fail")
    (missing,) = (each for each in ran.json["report"]["findings"] if each["verdict"] == "fail")
    assert (missing["name"], missing["field"]) == ("fields_there", "size")


def test_drift_is_shown_drawn_and_reset(cli: RunCli, client: Client, tmp_path: Path) -> None:
    rng, name, page = np.random.default_rng(5), "drifting", tmp_path / "drift.html"
    client.collections.create(name, model=None, dimension=16)
    mix, centre = rng.normal(size=(6, 16)), rng.normal(size=16)
    items = [
        VectorItem(f"item-{n}", vector)
        for n, vector in enumerate(rng.normal(size=(60, 6)) @ mix + centre)
    ]
    assert all(result.error is None for result in client.upsert_vectors(name, items))
    ran = cli("drift", "-c", name)
    assert (ran.code, "being learnt, as a reference" in ran.out) == (0, True)

    for start in range(0, 800, 16):
        moved = 0.0 if start < 600 else rng.normal(size=16)
        some = rng.normal(size=(16, 6)) @ mix + centre + moved
        client.search_many(name, [Query.by_vector(each) for each in some])
    ran = cli("drift", "-c", name, "--html", page)
    assert (ran.code, "no longer what they were" in " ".join(ran.out.split())) == (0, True)
    assert "  evidence        " in ran.out
    shown, named = ran.out.rsplit("page: ", 1)
    assert (named, max(map(len, shown.splitlines())) <= 80) == (f"{page}\n", True)
    assert page.read_text().count("<svg") >= 3
    assert cli("drift", "-c", name, "--json").json["state"] == "drifted"

    ran = cli("drift", "-c", name, "--reset", "--keep-reference")
    assert (ran.code, "as they were" in ran.out) == (0, True)
    assert "0 of 500 queries" in cli("drift", "-c", name, "--reset").out
    assert cli("drift", "-c", name, "--keep-reference").code == 2
    client.collections.delete(name)


def test_labels_are_suggested_written_down_and_stored(
    cli: RunCli, client: Client, labelled: str, tmp_path: Path
) -> None:
    unknown = [f"item-{n}" for n in range(0, ITEMS, 4)]
    true = {item.id: item.metadata["kind"] for item in client.list(labelled)}
    taken = {id: {"kind": None, "seen": 1} for id in unknown}
    client.update_metadata(labelled, taken, merge=True)
    table = tmp_path / "suggestions.csv"
    options = ("suggest-labels", "-c", labelled, "--label-field", "kind")
    ran = cli(*options, "--csv", table)
    assert ran.code == 0
    assert "60 suggestions" in ran.out
    assert "40 more: see --csv" in ran.out
    assert max(map(len, ran.out.splitlines())) <= 80
    assert len(table.read_text().splitlines()) == 61

    ran = cli(*options, "--write-above", "0.5", "--yes", "--json")
    assert ran.json["written"] > 50
    stored = {item.id: item.metadata for item in client.list(labelled)}
    right = [stored[id].get("kind") == true[id] for id in unknown]
    assert np.mean(right) > 0.8
    assert all(stored[id]["seen"] == 1 for id in unknown)
    assert cli(*options, "--errors", "--write-above", "0.5").code == 2


def test_groups_are_printed_drawn_stored_and_keep_their_labels(
    cli: RunCli, client: Client, labelled: str, tmp_path: Path
) -> None:
    page, table = tmp_path / "map.html", tmp_path / "groups.csv"
    options = ("cluster", "-c", labelled, "--clusters", str(KINDS), "--write", "group")
    ran = cli(*options, "--yes", "--html", page, "--csv", table)
    assert ran.code == 0, ran.err
    assert "240 items, 8 groups" in ran.out
    assert "labels of 240 items that had another or none" in " ".join(ran.out.split())
    assert max(map(len, ran.out.rsplit("page: ", 1)[0].splitlines())) <= 80
    assert '<canvas id="map"' in page.read_text(encoding="utf-8")
    assert len(table.read_text(encoding="utf-8").splitlines()) == ITEMS + 1
    stored = {item.id: item.metadata for item in client.list(labelled)}
    assert all(
        each["kind"] and str(each["group"]).startswith("cluster-") for each in stored.values()
    )

    ran = cli(*options, "--seed", "5", "--yes", "--json")
    assert ran.json["result"]["kept_labels"] >= KINDS - 2
    assert ran.json["written"] < ITEMS / 4
    assert cli("cluster", "-c", labelled, "--write", "a.b").code == 2
    ran = cli("cluster", "-c", labelled, "--method", "hdbscan", "--clusters", "3")
    assert (ran.code, "finds how many there are" in ran.err) == (1, True)
