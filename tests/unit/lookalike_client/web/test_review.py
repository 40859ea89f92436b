"""How a review of duplicates stands, and what would go."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from lookalike_client.types import (
    DuplicateDecision,
    DuplicateGroup,
    DuplicateKind,
    DuplicateMember,
    DuplicatesReport,
    DuplicateVerdict,
)
from lookalike_client.web.page.review import Review, digest_of

DUPLICATE, DIFFERENT = DuplicateVerdict.DUPLICATE, DuplicateVerdict.DIFFERENT
KEEP, IGNORE, UNDECIDED = (
    DuplicateVerdict.KEEP,
    DuplicateVerdict.IGNORE,
    DuplicateVerdict.UNDECIDED,
)


def member(
    id: str, score: float, kind: DuplicateKind | None = DuplicateKind.COPY
) -> DuplicateMember:
    return DuplicateMember(id, kind, score, 0.9, 10, 10, 100, 5.0, "JPEG", False, False)


def review_of(*groups: str, decided: tuple[DuplicateDecision, ...] = ()) -> Review:
    """Each group is a text of one-letter ids; the first is suggested and the representative."""
    made = [
        DuplicateGroup(
            ids[0],
            [
                member(id, 1.0 - place / 10, None if place == 0 else DuplicateKind.COPY)
                for place, id in enumerate(ids)
            ],
            [],
        )
        for ids in groups
    ]
    report = DuplicatesReport(made, [], 100, 1, 0.8, 0, 0)
    return Review("r", "photos", report, list(decided))


def standings(review: Review, number: int = 0) -> list[str]:
    return [str(each["standing"]) for each in review.group(number)["members"]]


def test_a_group_is_done_when_nothing_is_open() -> None:
    review = review_of("abc", "de")
    assert standings(review) == ["keeper", "open", "open"]
    assert review.progress()["first_open"] == 0
    review.note([DuplicateDecision("a", DUPLICATE, "b")])
    assert standings(review) == ["keeper", "duplicate", "open"]
    assert review.note([DuplicateDecision("c", DIFFERENT, "a")]) == [0]
    assert standings(review) == ["keeper", "duplicate", "different"]
    assert (review.progress()["done"], review.progress()["first_open"]) == (1, 1)
    assert [(each.id, each.keeper) for each in review.leaving()] == [("b", "a")]


def test_undo_takes_back_exactly_what_was_decided() -> None:
    review = review_of("abc", decided=(DuplicateDecision("b", DIFFERENT, "a"),))
    made = [DuplicateDecision("a", DUPLICATE, "b"), DuplicateDecision("c", KEEP)]
    before = standings(review)
    undo = review.before(made)
    review.note(made)
    assert standings(review) != before
    review.note(undo)
    assert standings(review) == before == ["keeper", "different", "open"]


def test_keeping_another_one_spares_what_is_not_known_to_be_its_duplicate() -> None:
    review = review_of("abcd")
    review.note([DuplicateDecision("a", DUPLICATE, "b")])
    review.note([DuplicateDecision("c", KEEP)])
    # Nothing says that c shows what a and b show.
    assert standings(review) == ["open", "open", "keeper", "open"]
    assert review.leaving() == []
    review.note([DuplicateDecision("c", DUPLICATE, "a")])
    assert standings(review) == ["duplicate", "duplicate", "keeper", "open"]
    review.note([DuplicateDecision("b", DIFFERENT, "c")])
    assert standings(review) == ["duplicate", "different", "keeper", "open"]
    review.note([DuplicateDecision("d", IGNORE)])
    assert standings(review)[3] == "ignored"


def test_what_is_open_and_near_enough_is_accepted_at_once() -> None:
    review = review_of("abc", "def", decided=(DuplicateDecision("d", DIFFERENT, "e"),))
    made = review.alike([], 0.85)
    assert [(each.id, each.other_id) for each in made] == [("a", "b")]
    assert len(review.alike(["copy"], None)) == 3
    assert review.alike(["byte_identical"], None) == []
    undo = review.before(made)
    review.note(made)
    assert len(review.leaving()) == 1
    review.note(undo)
    assert review.leaving() == []


def test_what_is_gone_is_not_asked_about_again() -> None:
    review = review_of("abc")
    review.note([DuplicateDecision("a", DUPLICATE, "b"), DuplicateDecision("a", DUPLICATE, "c")])
    before = digest_of(review.leaving())
    review.forget(["b"])
    assert [each.id for each in review.leaving()] == ["c"]
    assert digest_of(review.leaving()) != before
    review.forget(["a"])  # somebody deleted what was to be kept
    assert [each.id for each in review.leaving()] == []


DECISIONS = st.builds(
    DuplicateDecision,
    st.sampled_from("abcdef"),
    st.sampled_from([DUPLICATE, DIFFERENT, UNDECIDED]),
    st.sampled_from("abcdef"),
).filter(lambda each: each.id != each.other_id) | st.builds(
    DuplicateDecision, st.sampled_from("abcdef"), st.sampled_from([KEEP, IGNORE, UNDECIDED])
)


@settings(deadline=None)
@given(st.lists(DECISIONS, max_size=25))
def test_whatever_is_decided_something_of_each_group_stays(
    decisions: list[DuplicateDecision],
) -> None:
    review = review_of("abcd", "ef")
    undone = []
    for each in decisions:
        undone.append(review.before([each]))
        review.note([each])
    leaving = {each.id for each in review.leaving()}
    kept = {
        each.id
        for each in decisions
        if each.verdict is KEEP and review._verdicts.get((each.id, "")) is KEEP
    }
    for group in ("abcd", "ef"):
        assert not set(group) <= leaving
    assert not leaving & kept
    assert all(each.keeper not in leaving for each in review.leaving())
    again = review_of(
        "abcd",
        "ef",
        decided=tuple(DuplicateDecision(a, v, b) for (a, b), v in review._verdicts.items()),
    )
    assert [standings(again, n) for n in (0, 1)] == [standings(review, n) for n in (0, 1)]
    assert again.progress() == review.progress()
    for undo in reversed(undone):
        review.note(undo)
    assert standings(review) == ["keeper", "open", "open", "open"]
