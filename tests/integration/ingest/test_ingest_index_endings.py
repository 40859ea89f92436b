"""What `lookalike index --wait` and `failures` say of duplicates, blank and cut images."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lookalike_client import Client, DuplicateSettings
from tests.integration.ingest.system import System
from tests.unit.lookalike_client.cli.running import Ran, ran

Command = Callable[..., Ran]
LONG = "a-long-name-of-a-file-as-cameras-and-people-make-them-2024-05"


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    system = System(tmp_path_factory.mktemp("system"))
    try:
        system.start()
        yield system
    finally:
        system.stop()


@pytest.fixture
def lookalike(system: System, capsys: pytest.CaptureFixture[str]) -> Command:
    def run(*arguments: str | Path) -> Ran:
        return ran(capsys, "--address", system.search_address, *map(str, arguments))

    return run


def written(folder: Path, **contents: str) -> Path:
    folder.mkdir()
    for name, content in contents.items():
        (folder / f"{name}.png").write_text(content)
    return folder


def rejecting(system: System, name: str, lookalike: Command, folder: Path) -> None:
    """Make a collection that rejects copies, and store the originals."""
    with Client(system.search_address) as client:
        client.collections.create(name, duplicates=DuplicateSettings("reject", 0.95))
    originals = written(folder, first="one", second="two")
    assert lookalike("index", originals, "-c", name, "--wait").code == 0


def test_what_the_policy_keeps_out_is_told_with_its_neighbour(
    lookalike: Command, system: System, tmp_path: Path
) -> None:
    rejecting(system, "told", lookalike, tmp_path / "originals")
    copies = written(tmp_path / "copies", **{"b": "two", LONG: "one", "c": "three"})

    as_json = lookalike("index", copies, "-c", "told", "--wait", "--json")
    as_text = lookalike("index", copies, "-c", "told", "--wait")

    assert as_json.json["rejected"] == [
        {"id": f"{LONG}.png", "of": "first.png", "score": 1.0, "stored": False},
        {"id": "b.png", "of": "second.png", "score": 1.0, "stored": False},
    ]
    assert (as_json.json["stored"], as_json.json["failed"]) == (1, [])
    words = as_text.out.split()
    counts = "1 unchanged, 0 stored and searchable, 2 rejected as duplicates, 0 failed"
    assert f"3 files: {counts}" in " ".join(words)
    assert {f"{LONG}.png", "first.png", "b.png", "second.png"} <= set(words)
    assert words.count("1.0000") == 2
    assert "lookalike failures -c told --store-duplicates" in as_text.out
    assert max(map(len, as_text.out.splitlines())) <= 80


def test_a_listing_of_rejected_images_can_be_reviewed_and_stored_by_one_call(
    lookalike: Command, system: System, tmp_path: Path
) -> None:
    rejecting(system, "kept", lookalike, tmp_path / "originals")
    copies = written(tmp_path / "copies", a="one", b="two", bad="poison")
    lookalike("index", copies, "-c", "kept", "--wait")

    listed = lookalike("failures", "-c", "kept", "--json").json["failures"]
    near = {each["id"]: each["near_duplicate"] for each in listed}
    shown = lookalike("failures", "-c", "kept")
    retried = lookalike("failures", "-c", "kept", "--retry")
    one = lookalike("failures", "-c", "kept", "--store-duplicates", "--id", "a.png", "--json")

    assert near == {
        "a.png": {"id": "first.png", "score": 1.0},
        "b.png": {"id": "second.png", "score": 1.0},
        "bad.png": None,
    }
    for word in ("looks like", "first.png", "second.png", "1.0000", "`--store-duplicates`"):
        assert word in shown.out
    assert max(map(len, shown.out.splitlines())) <= 80
    assert "queued 1 again" in retried.out, "the duplicates are left out"
    assert one.json["retried"] == 1
    with Client(system.search_address) as client:
        ended = {event.result.id for event in client.watch_ingest(listed[0]["job_id"])}
        assert ended == {"a.png", "b.png", "bad.png"}
        assert sorted(item.id for item in client.list("kept")) == [
            *("a.png", "first.png", "second.png")
        ]

    assert "queued 1 again" in lookalike("failures", "-c", "kept", "--store-duplicates").out
    with Client(system.search_address) as client:
        assert len(list(client.watch_ingest(listed[0]["job_id"]))) == 6  # three, twice each
        assert client.count("kept") == 4
    again = lookalike("index", copies, "-c", "kept", "--wait", "--json")
    left = lookalike("failures", "-c", "kept", "--json").json["failures"]
    assert (again.json["unchanged"], again.json["rejected"]) == (2, [])
    assert [each["id"] for each in left] == ["bad.png"]


def test_a_mended_file_leaves_the_listing(lookalike: Command, tmp_path: Path) -> None:
    folder = written(tmp_path / "photos", whole="one", half="poison: the second half is missing")
    first = lookalike("index", folder, "-c", "mended", "--wait", "--json")
    assert [each["id"] for each in first.json["failed"]] == ["half.png"]
    assert len(lookalike("failures", "-c", "mended", "--json").json["failures"]) == 1

    (folder / "half.png").write_text("now it is all there")
    again = lookalike("index", folder, "-c", "mended", "--wait", "--json")

    assert (again.code, again.json["stored"], again.json["unchanged"]) == (0, 1, 1)
    assert lookalike("failures", "-c", "mended", "--json").json["failures"] == []
    assert lookalike("failures", "-c", "mended").out == "no failures\n"
    assert lookalike("failures", "-c", "mended", "--retry", "--json").json["retried"] == 0
    item = lookalike("get", "half.png", "-c", "mended", "--json").json["items"][0]
    assert item["id"] == "half.png"


def test_blank_and_cut_images_are_warned_about(lookalike: Command, tmp_path: Path) -> None:
    contents = {f"white-{number}": f"blank {number}" for number in range(7)}
    folder = written(tmp_path / "photos", **contents, half="cut short", fine="a picture")

    as_text = lookalike("index", folder, "-c", "marked", "--wait")
    as_json = lookalike("index", folder, "-c", "marked", "--resend", "--wait", "--json")
    quiet = lookalike("index", folder, "-c", "marked", "--wait")

    told = " ".join(as_text.out.split())
    assert as_text.code == 0
    assert "warning: 7 images are blank or nearly so" in told
    assert "white-0.png, white-1.png, white-2.png" in told
    assert "2 more (`--json` lists all)" in told
    assert "warning: 1 image is cut short, and stored without the missing end: half.png" in told
    assert max(map(len, as_text.out.splitlines())) <= 80
    assert as_json.json["blank"] == [f"white-{number}.png" for number in range(7)]
    assert as_json.json["truncated"] == ["half.png"]
    assert "warning" not in quiet.out
