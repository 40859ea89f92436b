"""Duplicates over a socket: kinds, groups, decisions, thresholds."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from lookalike.wire.errors import Reason, Unavailable
from lookalike_client import (
    CalibrationMode,
    Client,
    DuplicateDecision,
    DuplicateGroup,
    DuplicateKind,
    DuplicatesReport,
    DuplicateVerdict,
    InvalidField,
    KeepReason,
    LabelledPairs,
    StackKind,
    VectorItem,
)
from tests.bench.analysis.copies import as_jpeg, centre_cropped
from tests.hostile.files import photo
from tests.integration.picture_facts import facts_of, png
from tests.integration.search_server import SearchServer, running

DIMENSION = 32
RNG = np.random.default_rng(9)
KINDS = tuple(DuplicateKind)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SearchServer]:
    with running(tmp_path_factory.mktemp("data")) as server:
        yield server


@pytest.fixture(scope="module")
def client(server: SearchServer) -> Iterator[Client]:
    with Client(f"127.0.0.1:{server.port}") as client:
        yield client


def near(vector: np.ndarray[tuple[int], np.dtype[np.float64]], cosine: float) -> list[float]:
    other = RNG.normal(size=DIMENSION)
    other -= (other @ vector) * vector
    other /= np.linalg.norm(other)
    turned: list[float] = (cosine * vector + np.sqrt(1 - cosine**2) * other).tolist()
    return turned


def unit() -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    vector = RNG.normal(size=DIMENSION)
    return vector / np.linalg.norm(vector)


def motif(name: str, seed: int) -> list[VectorItem]:
    """A picture, the same file, the same pixels, two copies, and one that is only near."""
    picture = photo(random.Random(seed), 320, 240)
    whole = png(picture)
    direction = unit()
    files = {
        "original.png": (whole, 0.999),
        "again.png": (whole, 0.999),
        "noted.png": (png(picture, "other notes"), 0.999),
        "q40.jpg": (as_jpeg(picture, 40), 0.97),
        # Below the threshold, as copies may be.
        "crop.jpg": (as_jpeg(centre_cropped(picture, RNG), 80), 0.85),
        "other.jpg": (as_jpeg(photo(random.Random(seed + 1_000), 320, 240), 80), 0.98),
    }
    return [
        VectorItem(f"{name}/{file}", near(direction, cosine), facts=facts_of(data))
        for file, (data, cosine) in files.items()
    ]


@pytest.fixture
def make(client: Client, request: pytest.FixtureRequest) -> Callable[[list[VectorItem]], str]:
    def made(items: list[VectorItem]) -> str:
        name: str = request.node.name[-60:]
        client.collections.create(name, model=None, dimension=DIMENSION)
        results = list(client.upsert_vectors(name, items))
        assert len(results) == len(items)
        return name

    return made


def ids(group: DuplicateGroup) -> list[str]:
    return [member.id for member in group.members]


def test_each_pair_has_the_kind_of_its_cheapest_proof(
    client: Client, make: Callable[[list[VectorItem]], str]
) -> None:
    name = make([*motif("a", 1), *motif("b", 2)])
    report = client.analysis.find_duplicates(name, threshold=0.94)
    assert report.items == 12
    assert [sorted(ids(group)) for group in report.groups] == [
        [
            f"{motif}/{file}"
            for file in ("again.png", "crop.jpg", "noted.png", "original.png", "q40.jpg")
        ]
        for motif in "ab"
    ]
    for group in report.groups:
        kinds = {member.id.split("/")[1]: member.kind for member in group.members}
        representative = group.representative_id.split("/")[1]
        assert kinds[representative] is None
        for file in ("q40.jpg", "crop.jpg"):
            assert kinds[file] in (DuplicateKind.COPY, None)
        # Among the three of the same pixels those of the same bytes are known as such.
        same = {"original.png": "again.png", "again.png": "original.png"}
        for file in {"original.png", "again.png", "noted.png"} - {representative}:
            if representative.endswith(".png"):
                byte = same.get(representative) == file
                wanted = DuplicateKind.BYTE_IDENTICAL if byte else DuplicateKind.PIXEL_IDENTICAL
                assert kinds[file] is wanted
        assert group.members[0].id.endswith(".png")
        assert KeepReason.LOSSLESS in group.reasons or KeepReason.RESOLUTION in group.reasons


def test_kinds_can_be_chosen(client: Client, make: Callable[[list[VectorItem]], str]) -> None:
    name = make(motif("a", 3))

    def found(*kinds: DuplicateKind) -> list[list[str]]:
        report = client.analysis.find_duplicates(name, threshold=0.94, kinds=kinds)
        return [sorted(each.split("/")[1] for each in ids(group)) for group in report.groups]

    assert found(DuplicateKind.BYTE_IDENTICAL) == [["again.png", "original.png"]]
    assert found(DuplicateKind.PIXEL_IDENTICAL) == [["noted.png", "original.png"]]
    assert "other.jpg" in found(*KINDS)[0]


def test_vectors_without_pictures_are_told_by_cosine(
    client: Client, make: Callable[[list[VectorItem]], str]
) -> None:
    one, other = unit(), unit()
    items = [VectorItem(f"one-{n}", near(one, 0.99)) for n in range(3)]
    items += [VectorItem("other", other.tolist())]
    name = make(items)
    report = client.analysis.find_duplicates(name, threshold=0.9)
    assert [sorted(ids(group)) for group in report.groups] == [["one-0", "one-1", "one-2"]]
    kinds = {member.kind for member in report.groups[0].members}
    assert kinds == {None, DuplicateKind.UNVERIFIED}
    assert report.without_pictures == 4
    again = client.analysis.find_duplicates(name, threshold=0.9, filter="exists(nothing)")
    assert (again.groups, again.items) == ([], 0)


def test_a_later_search_finds_what_is_new(
    client: Client, make: Callable[[list[VectorItem]], str]
) -> None:
    first, second = motif("a", 5), motif("b", 6)
    name = make([*first, *second[:4]])
    before = client.analysis.find_duplicates(name, threshold=0.94)
    assert len(before.groups) == 2
    list(client.upsert_vectors(name, second[4:]))
    after = client.analysis.find_duplicates(
        name, threshold=0.94, since_version=before.newest_version
    )
    assert [sorted(ids(group)) for group in after.groups] == [
        sorted(item.id for item in second[:5])
    ]
    nothing = client.analysis.find_duplicates(
        name, threshold=0.94, since_version=after.newest_version
    )
    assert (nothing.groups, nothing.newest_version) == ([], after.newest_version)


def test_decisions_are_kept_and_keep(
    client: Client, make: Callable[[list[VectorItem]], str]
) -> None:
    name = make([*motif("a", 7), *motif("b", 8)])

    def found() -> DuplicatesReport:
        return client.analysis.find_duplicates(name, threshold=0.94)

    decide = client.analysis.decide_duplicates
    made = [
        DuplicateDecision("a/original.png", DuplicateVerdict.DUPLICATE, "a/other.jpg"),
        DuplicateDecision("a/crop.jpg", DuplicateVerdict.KEEP),
        DuplicateDecision("b/again.png", DuplicateVerdict.IGNORE),
    ]
    made += [
        DuplicateDecision("b/q40.jpg", DuplicateVerdict.DIFFERENT, f"b/{file}")
        for file in ("original.png", "noted.png", "crop.jpg")
    ]
    decide(name, made)
    kept = client.analysis.duplicate_decisions(name)
    assert {(each.id, each.other_id, each.verdict) for each in kept} == {
        (*sorted((each.id, each.other_id)), each.verdict)
        if each.other_id
        else (each.id, "", each.verdict)
        for each in made
    }
    groups = {group.members[0].id[0]: group for group in found().groups}
    assert groups["a"].members[0].id == "a/crop.jpg"
    assert groups["a"].members[0].kept
    assert groups["a"].reasons[0] is KeepReason.REVIEWED
    reviewed = {member.id for member in groups["a"].members if member.reviewed}
    assert reviewed <= {"a/original.png", "a/other.jpg"}
    assert sorted(ids(groups["b"])) == ["b/crop.jpg", "b/noted.png", "b/original.png"]

    undecided = [
        DuplicateDecision(each.id, DuplicateVerdict.UNDECIDED, each.other_id) for each in kept
    ]
    decide(name, undecided)
    assert client.analysis.duplicate_decisions(name) == []
    assert [len(group.members) for group in found().groups] == [5, 5]


def test_decisions_that_say_nothing_are_refused(
    client: Client, make: Callable[[list[VectorItem]], str]
) -> None:
    name = make(motif("a", 9))
    for decision, field in (
        (DuplicateDecision("a", DuplicateVerdict.DUPLICATE), "decisions[0].other_id"),
        (DuplicateDecision("a", DuplicateVerdict.KEEP, "b"), "decisions[0].other_id"),
        (DuplicateDecision("a", DuplicateVerdict.DIFFERENT, "a"), "decisions[0].other_id"),
    ):
        with pytest.raises(InvalidField) as refused:
            client.analysis.decide_duplicates(name, [decision])
        assert refused.value.field == field
    assert client.analysis.duplicate_decisions(name) == []


def test_a_threshold_is_given_or_kept(
    client: Client, make: Callable[[list[VectorItem]], str]
) -> None:
    name = make(motif("a", 10))
    with pytest.raises(InvalidField, match="calibrate the collection") as refused:
        client.analysis.find_duplicates(name)
    assert refused.value.field == "threshold"
    pairs = [("a/original.png", f"a/{file}", True) for file in ("q40.jpg", "noted.png")]
    pairs += [("a/crop.jpg", "a/other.jpg", False)]
    client.analysis.calibrate(
        name,
        LabelledPairs(pairs),
        precision_at_least=0.9,
        mode=CalibrationMode.POINT,
        keep=True,
    )
    kept = client.collections.get(name).calibration
    assert kept is not None
    report = client.analysis.find_duplicates(name)
    assert report.threshold == pytest.approx(kept.threshold)
    assert len(report.groups) == 1
    for wrong in (0.0, -1.0, 1.5):
        with pytest.raises(InvalidField) as refused:
            client.analysis.find_duplicates(name, threshold=wrong)
        assert refused.value.field == "threshold"


def test_stacks_are_no_duplicates(client: Client, make: Callable[[list[VectorItem]], str]) -> None:
    raw, burst = unit(), unit()
    items = [
        VectorItem("shot.nef", near(raw, 0.999)),
        VectorItem("shot.jpg", near(raw, 0.999)),
    ]
    for second in (10, 11, 40):
        picture = photo(random.Random(second), 320, 240)
        items.append(
            VectorItem(
                f"burst-{second}",
                near(burst, 0.995),
                facts=facts_of(as_jpeg(picture, 90)),
                metadata={"taken": f"2026-05-01T10:00:{second}Z"},
            )
        )
    name = make(items)
    report = client.analysis.find_duplicates(name, threshold=0.95, capture_time_field="taken")
    assert report.groups == []
    assert [(stack.kind, list(stack.ids)) for stack in report.stacks] == [
        (StackKind.RAW, ["shot.nef", "shot.jpg"]),
        (StackKind.BURST, ["burst-10", "burst-11"]),
    ]


def test_a_damaged_file_of_decisions_is_told(tmp_path_factory: pytest.TempPathFactory) -> None:
    data = tmp_path_factory.mktemp("damaged")
    with running(data) as server, Client(f"127.0.0.1:{server.port}") as client:
        made = client.collections.create("a", model=None, dimension=DIMENSION)
        client.analysis.decide_duplicates("a", [DuplicateDecision("x", DuplicateVerdict.KEEP)])
        (path,) = data.rglob("reviews.db")
        path.write_bytes(b"no database at all" * 100)
        with pytest.raises(Unavailable, match=r"reviews\.db") as refused:
            client.analysis.duplicate_decisions(made.name)
        assert refused.value.reason is Reason.STORE_FAILED
