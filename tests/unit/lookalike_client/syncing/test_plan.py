"""What becomes of each file and item, from what is there."""

from pathlib import Path

from lookalike_client.indexing.scan import FileEntry
from lookalike_client.syncing.files import ReadFile
from lookalike_client.syncing.plan import Plan, Present, make_plan
from lookalike_client.syncing.state import Claim, MoveRecord

ROOT = Path("/photos")


def read(**files: str) -> list[ReadFile]:
    """Files by name, with the content that each has."""
    return [
        ReadFile(FileEntry(name, name, ROOT / name, ROOT), content, "stamp", False)
        for name, content in files.items()
    ]


def plan(
    files: dict[str, str],
    claims: dict[str, str],
    stored: dict[str, str] | None = None,
    *,
    begun: tuple[MoveRecord, ...] = (),
    owners: dict[str, Path] | None = None,
) -> Plan:
    """Plan where `stored` is what the claims say, unless it is given."""
    return make_plan(
        Present(
            files=read(**files),
            claims={name: Claim(name, name, sha, "", True) for name, sha in claims.items()},
            gone=[name for name in claims if name not in files],
            stored=claims if stored is None else stored,
            begun={record.target: record for record in begun},
            owners=owners or {},
        )
    )


def moves(found: Plan) -> set[tuple[str, str]]:
    return {(move.source, move.file.entry.id) for move in found.moves}


def ids(files: list[ReadFile]) -> list[str]:
    return [file.entry.id for file in files]


def test_a_swap_is_two_moves() -> None:
    found = plan({"a": "B", "b": "A"}, {"a": "A", "b": "B"})

    assert moves(found) == {("a", "b"), ("b", "a")}
    assert (found.new, found.changed, found.removals) == ([], [], [])


def test_a_chain_of_names_is_moves_alone() -> None:
    found = plan({"2": "A", "3": "B", "4": "C"}, {"1": "A", "2": "B", "3": "C"})

    assert moves(found) == {("1", "2"), ("2", "3"), ("3", "4")}
    assert not found.removals


def test_of_copies_each_moves_once_and_keeps_its_name_if_it_can() -> None:
    found = plan({"new/x": "A", "new/y": "A", "z": "A"}, {"x": "A", "y": "A"})

    assert moves(found) == {("x", "new/x"), ("y", "new/y")}
    assert ids(found.new) == ["z"]


def test_a_copy_beside_its_original_is_new() -> None:
    found = plan({"a": "A", "b": "A"}, {"a": "A"})

    assert (ids(found.unchanged), ids(found.new), moves(found)) == (["a"], ["b"], set())


def test_moved_and_edited_is_new_and_gone() -> None:
    found = plan({"b": "A2"}, {"a": "A"})

    assert (ids(found.new), found.removals) == (["b"], ["a"])


def test_what_others_stored_is_neither_moved_nor_removed() -> None:
    found = plan({"b": "A"}, {"a": "A", "c": "C"}, {"a": "other", "c": "other", "d": "A"})

    assert (ids(found.new), moves(found)) == (["b"], set())
    assert (found.removals, sorted(found.forgotten)) == ([], ["a", "c"])


def test_an_id_of_another_folder_is_left_to_it() -> None:
    found = plan({"a": "A", "b": "B"}, {}, {"a": "A"}, owners={"a": Path("/other")})

    assert [clash.file.id for clash in found.clashes] == ["a"]
    assert ids(found.new) == ["b"]


def test_a_move_that_was_interrupted_is_ended_and_no_removal() -> None:
    begun = MoveRecord("b", "a", "A")

    found = plan({"b": "A"}, {"a": "A"}, {"a": "A", "b": "A"}, begun=(begun,))

    assert (ids(found.unchanged), found.leftovers, found.removals) == (["b"], ["a"], [])


def test_what_an_interrupted_move_kept_is_used() -> None:
    kept = MoveRecord("b", "a", "A", b"item")

    found = plan({"a": "B", "b": "A"}, {"a": "A", "b": "B"}, {"a": "B", "b": "B"}, begun=(kept,))

    assert ids(found.unchanged) == ["a"]
    assert [move.record for move in found.moves] == [kept]


def test_a_file_that_cannot_be_read_is_never_taken_for_another() -> None:
    found = plan({"a": "", "b": ""}, {"a": "A", "c": "C"}, {"a": "A", "c": ""})

    assert (ids(found.changed), ids(found.new), moves(found)) == (["a"], ["b"], set())
    assert found.forgotten == ["c"]
