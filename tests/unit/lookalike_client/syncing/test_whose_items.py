"""Whose an item is, and which picture its metadata is about."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from lookalike_client.indexing.scan import FileEntry
from lookalike_client.syncing.files import ReadFile
from lookalike_client.syncing.plan import Plan, Present, make_plan
from lookalike_client.syncing.state import Claim, MoveRecord

ROOT = Path("/photos")
ELSEWHERE = Path("/elsewhere")


def _plan(
    files: Mapping[str, str],
    stored: Mapping[str, str],
    *,
    claimed: Iterable[str] = (),
    begun: Iterable[MoveRecord] = (),
    owners: Mapping[str, Path] | None = None,
) -> Plan:
    """Plan for contents by id; what is claimed is claimed as it is stored."""
    claims = {each: Claim(each, each, stored[each], stored=True) for each in claimed}
    read = [
        ReadFile(FileEntry(each, each, ROOT / each, ROOT), content, "", False)
        for each, content in files.items()
    ]
    return make_plan(
        Present(
            files=read,
            claims=claims,
            gone=[each for each in claims if each not in files],
            stored=stored,
            begun={record.target: record for record in begun},
            owners=owners or {},
        )
    )


def _moves(plan: Plan) -> set[tuple[str, str]]:
    return {(move.source, move.file.entry.id) for move in plan.moves}


def _ids(files: Iterable[ReadFile]) -> list[str]:
    return [file.entry.id for file in files]


def test_a_new_picture_under_a_name_whose_picture_moved_takes_no_metadata_of_it() -> None:
    plan = _plan({"a": "new", "b": "1"}, {"a": "1"}, claimed="a")

    assert _moves(plan) == {("a", "b")}
    assert (_ids(plan.changed), plan.bare) == (["a"], ["a"])


def test_nor_where_the_move_was_made_by_a_run_that_was_killed() -> None:
    plan = _plan(
        {"a": "new", "b": "1"},
        {"a": "1", "b": "1"},
        claimed="ab",
        begun=[MoveRecord("b", "a", "1")],
    )

    assert (_moves(plan), _ids(plan.unchanged), plan.bare) == (set(), ["b"], ["a"])


def test_an_edited_picture_keeps_its_metadata() -> None:
    plan = _plan({"a": "edited"}, {"a": "1"}, claimed="a")

    assert (_ids(plan.changed), plan.bare) == (["a"], [])


def test_another_picture_from_elsewhere_under_the_id_is_left_as_it_is() -> None:
    plan = _plan({"a": "1", "b": "2"}, {"a": "other", "b": "other"}, owners={"b": ELSEWHERE})

    assert [(clash.file.id, clash.folder) for clash in plan.clashes] == [
        ("a", None),
        ("b", ELSEWHERE),
    ]
    assert (plan.changed, plan.new, plan.moves) == ([], [], [])


def test_an_item_without_facts_is_somebody_elses() -> None:
    plan = _plan({"a": "1"}, {"a": ""})

    assert [clash.file.id for clash in plan.clashes] == ["a"]
