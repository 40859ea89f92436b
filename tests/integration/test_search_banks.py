"""Banks over a socket: verdicts and evidence, hashes of items and on the list, refusals."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from PIL import Image

from lookalike.wire.errors import Reason
from lookalike_client import (
    CalibrationMode,
    Client,
    ImageFacts,
    InvalidField,
    KnownHash,
    LabelledPairs,
    LimitExceeded,
    MatchItem,
    MatchRemark,
    MatchRule,
    MatchVerdict,
    NotFound,
    SignalAgreement,
    VectorItem,
)
from tests.integration.known_pictures import (
    COPY,
    FACTS,
    UNKNOWN,
    VECTORS,
    ask,
    make_bank,
    signals,
    store,
    top,
    turned,
)
from tests.integration.picture_facts import facts_of, png
from tests.integration.search_server import running


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with running(tmp_path_factory.mktemp("data")) as server:
        with Client(f"127.0.0.1:{server.port}") as client:
            yield client


@pytest.fixture
def bank(client: Client) -> str:
    return make_bank(client)


def test_a_copy_of_a_known_picture_matches_by_both_signals(client: Client, bank: str) -> None:
    result = ask(client, bank, signals(0, 0.95, COPY))
    assert result.verdict is MatchVerdict.MATCH
    assert result.agreement is SignalAgreement.AGREE
    assert result.key == "asked"
    assert result.threshold == pytest.approx(0.9)
    assert not result.threshold_calibrated
    assert (result.pdq_hash, result.pdq_quality) == (COPY.pdq_hash, COPY.pdq_quality)
    first = top(result)
    assert first.id == "known-0"
    assert first.score == pytest.approx(0.95, abs=1e-5)
    apart = int(COPY.pdq_hash, 16) ^ int(FACTS[0].pdq_hash, 16)
    assert first.pdq_distance == apart.bit_count() <= 31
    assert (first.vector_matches, first.pdq_matches) == (True, True)
    assert result.remarks == [MatchRemark.ITEMS_WITHOUT_PDQ]  # vector-only has none
    others = [each.verdict for each in result.evidence[1:]]
    assert set(others) == {MatchVerdict.NO_MATCH}


@pytest.mark.parametrize(
    ("cosine", "facts", "rule", "verdict", "agreement"),
    [
        (0.5, FACTS[3], MatchRule.ANY, MatchVerdict.MATCH, None),  # by the hash of another
        (0.95, FACTS[3], MatchRule.BOTH, MatchVerdict.UNCERTAIN, SignalAgreement.DISAGREE),
        (0.95, FACTS[3], MatchRule.VECTOR, MatchVerdict.MATCH, SignalAgreement.DISAGREE),
        (0.95, None, MatchRule.ANY, MatchVerdict.MATCH, SignalAgreement.VECTOR_ONLY),
        (0.95, None, MatchRule.BOTH, MatchVerdict.UNCERTAIN, SignalAgreement.VECTOR_ONLY),
        (0.5, None, MatchRule.ANY, MatchVerdict.NO_MATCH, SignalAgreement.VECTOR_ONLY),
        (0.5, COPY, MatchRule.ANY, MatchVerdict.MATCH, SignalAgreement.DISAGREE),
        (0.5, COPY, MatchRule.BOTH, MatchVerdict.UNCERTAIN, SignalAgreement.DISAGREE),
        (0.5, COPY, MatchRule.PDQ, MatchVerdict.MATCH, SignalAgreement.PDQ_ONLY),
        (0.95, COPY, MatchRule.BOTH, MatchVerdict.MATCH, SignalAgreement.AGREE),
    ],
)
def test_the_rule_says_which_signals_make_a_match(
    client: Client,
    bank: str,
    cosine: float,
    facts: ImageFacts | None,
    rule: MatchRule,
    verdict: MatchVerdict,
    agreement: SignalAgreement | None,
) -> None:
    result = ask(client, bank, signals(0, cosine, facts), rule=rule)
    assert result.verdict is verdict
    if agreement is not None:
        assert result.agreement is agreement


def test_what_lies_between_the_bounds_is_uncertain(client: Client, bank: str) -> None:
    for cosine, verdict in ((0.8, MatchVerdict.UNCERTAIN), (0.7, MatchVerdict.NO_MATCH)):
        asked = signals(0, cosine, None)
        assert ask(client, bank, asked, review_threshold=0.75).verdict is verdict
    far = int(FACTS[0].pdq_hash, 16) ^ (2**40 - 1)  # 40 bits
    item = MatchItem("asked", pdq_hash=f"{far:064x}")
    assert ask(client, bank, item).verdict is MatchVerdict.NO_MATCH
    found = ask(client, bank, item, pdq_review_distance=40)
    assert (found.verdict, top(found).pdq_distance) == (MatchVerdict.UNCERTAIN, 40)
    assert ask(client, bank, item, pdq_distance=40).verdict is MatchVerdict.MATCH


def test_a_hash_of_low_quality_is_not_matched_and_said(client: Client, bank: str) -> None:
    low = replace(FACTS[1], pdq_quality=49)
    result = ask(client, bank, signals(0, 0.2, low))
    assert result.verdict is MatchVerdict.NO_MATCH
    assert MatchRemark.LOW_PDQ_QUALITY in result.remarks
    alone = ask(client, bank, signals(0, 0.2, low), rule=MatchRule.PDQ)
    assert alone.verdict is MatchVerdict.UNCERTAIN  # nothing was compared
    just = signals(0, 0.2, replace(low, pdq_quality=50))
    assert ask(client, bank, just).verdict is MatchVerdict.MATCH
    store(client, bank, VectorItem("known-1", VECTORS[1], facts=low))
    again = ask(client, bank, signals(0, 0.2, FACTS[1]))
    assert again.verdict is MatchVerdict.NO_MATCH  # nor is that of the item
    counted = client.banks.get(bank)
    assert (counted.hashed_items, counted.low_quality_items) == (3, 1)


def test_a_blank_picture_never_matches_by_its_vector_alone(client: Client, bank: str) -> None:
    blank = facts_of(png(Image.new("RGB", (60, 60), "white")))
    store(client, bank, VectorItem("white", VECTORS[6], facts=blank))
    store(client, bank, VectorItem("also-white", VECTORS[6], facts=blank))
    result = ask(client, bank, MatchItem("white", id="white"))
    assert (result.verdict, top(result).id) == (MatchVerdict.UNCERTAIN, "also-white")
    assert {MatchRemark.BLANK, MatchRemark.LOW_PDQ_QUALITY} <= set(result.remarks)


def test_a_stored_item_is_left_out_of_its_own_evidence(client: Client, bank: str) -> None:
    store(client, bank, VectorItem("copy", turned(0, 0.97), facts=COPY))
    result = ask(client, bank, MatchItem("k", id="known-0"))
    assert result.verdict is MatchVerdict.MATCH
    assert [each.id for each in result.evidence if each.verdict is MatchVerdict.MATCH] == ["copy"]
    assert "known-0" not in {each.id for each in result.evidence}


def test_a_filter_says_which_items_count(client: Client, bank: str) -> None:
    item = signals(0, 0.95, COPY)
    assert ask(client, bank, item, filter="n = 0").verdict is MatchVerdict.MATCH
    left_out = ask(client, bank, item, filter="n > 0")
    assert left_out.verdict is MatchVerdict.NO_MATCH
    assert "known-0" not in {each.id for each in left_out.evidence}


def test_hashes_follow_what_is_stored_and_deleted(client: Client, bank: str) -> None:
    asked = MatchItem("asked", pdq_hash=FACTS[2].pdq_hash)
    store(client, bank, VectorItem("later", VECTORS[7], facts=FACTS[2]))
    assert [each.id for each in ask(client, bank, asked).evidence] == ["known-2", "later"]
    client.delete(bank, ["known-2"])
    assert [each.id for each in ask(client, bank, asked).evidence] == ["later"]
    store(client, bank, VectorItem("later", VECTORS[7], facts=FACTS[3]))
    assert ask(client, bank, asked).verdict is MatchVerdict.NO_MATCH


def test_hashes_without_images_are_listed_matched_and_removed(client: Client, bank: str) -> None:
    known = [
        KnownHash(UNKNOWN, 80, "worst.jpg", "case 7"),
        KnownHash("0f" * 32, None, "no-quality.jpg"),
        KnownHash("aa" * 32, 20, "flat.jpg"),
    ]
    done = client.banks.import_hashes(bank, known)
    assert (done.added, done.replaced) == (3, 0)
    again = client.banks.import_hashes(bank, [KnownHash(UNKNOWN, 90, "renamed.jpg", "case 7")])
    assert (again.added, again.replaced) == (0, 1)
    near = f"{int(UNKNOWN, 16) ^ 0b111:064x}"
    result = ask(client, bank, MatchItem("asked", pdq_hash=near, pdq_quality=100))
    assert result.agreement is SignalAgreement.PDQ_ONLY
    first = top(result)
    assert (first.id, first.score, first.pdq_distance, first.pdq_quality) == ("", None, 3, 90)
    assert first.listed is not None
    assert (first.listed.pdq_hash, first.listed.name) == (UNKNOWN, "renamed.jpg")
    flat = ask(client, bank, MatchItem("asked", pdq_hash="aa" * 32))
    assert flat.verdict is MatchVerdict.NO_MATCH
    counted = client.banks.get(bank)
    assert (counted.listed_hashes, counted.low_quality_hashes) == (2, 1)
    assert (counted.items, counted.hashed_items, counted.items_without_pdq) == (5, 4, 1)

    listed = list(client.banks.hashes(bank))
    assert [each.pdq_hash for each in listed] == ["0f" * 32, "aa" * 32, UNKNOWN]
    assert [each.quality for each in listed] == [None, 20, 90]
    everything = list(client.banks.hashes(bank, include_items=True))
    assert {each.id: each.pdq_hash for each in everything if each.id} == {
        f"known-{n}": facts.pdq_hash for n, facts in enumerate(FACTS)
    }
    assert client.banks.delete_hashes(bank, [UNKNOWN, "11" * 32]) == 1
    assert ask(client, bank, MatchItem("a", pdq_hash=near)).verdict is MatchVerdict.NO_MATCH
    assert client.banks.delete_hashes(bank, None) == 2
    assert list(client.banks.hashes(bank)) == []


def test_the_list_outlives_a_page_and_many_hashes(client: Client, bank: str) -> None:
    many = [KnownHash(f"{n:064x}", 100, f"{n}.jpg") for n in range(2_500)]
    assert client.banks.import_hashes(bank, many).added == 2_500
    assert [each.pdq_hash for each in client.banks.hashes(bank)] == [each.pdq_hash for each in many]
    found = ask(client, bank, MatchItem("a", pdq_hash="0" * 64), limit=100)
    nearest = sorted(n.bit_count() for n in range(2_500))[:100]
    assert [each.pdq_distance for each in found.evidence] == nearest


def test_without_a_threshold_it_is_said_what_to_do(client: Client, bank: str) -> None:
    (result,) = client.banks.match(bank, [signals(0, 0.95, COPY)])
    assert result.verdict is None
    assert isinstance(result.error, InvalidField)
    assert result.error.field == "options.threshold"
    assert "calibrate the collection" in result.error.message
    (by_hash,) = client.banks.match(bank, [MatchItem("a", pdq_hash=COPY.pdq_hash)])
    assert by_hash.verdict is MatchVerdict.MATCH  # no vector is compared: none is needed


def test_the_calibrated_threshold_is_taken(client: Client, bank: str) -> None:
    store(client, bank, VectorItem("copy-0", turned(0, 0.8)))
    pairs = LabelledPairs([("known-0", "copy-0", True), ("known-0", "known-1", False)])
    client.analysis.calibrate(
        bank, pairs, precision_at_least=0.9, mode=CalibrationMode.POINT, keep=True
    )
    kept = client.banks.get(bank).threshold
    assert kept == pytest.approx(0.8, abs=1e-4)
    (result,) = client.banks.match(bank, [signals(2, 0.85, None)])
    assert (result.verdict, result.threshold_calibrated) == (MatchVerdict.MATCH, True)
    assert result.threshold == pytest.approx(kept)
    assert MatchRemark.BANK_HAS_GROWN not in result.remarks
    store(client, bank, *(VectorItem(f"more-{n}", VECTORS[8]) for n in range(60)))
    (later,) = client.banks.match(bank, [signals(2, 0.85, None)])
    assert MatchRemark.BANK_HAS_GROWN in later.remarks


def test_one_that_fails_leaves_the_others_alone(client: Client, bank: str) -> None:
    items = [
        signals(0, 0.95, COPY),
        MatchItem("missing", id="nobody"),
        MatchItem("image", image=b"bytes"),
        MatchItem("nothing"),
        MatchItem("short", pdq_hash="abc"),
        MatchItem("wrong", vector=[1.0, 2.0]),
        MatchItem("gone", image="/nowhere/there.jpg"),
        MatchItem("last", id="known-1"),
    ]
    results = {each.key: each for each in client.banks.match(bank, items, threshold=0.9)}
    assert len(results) == len(items)
    reasons = {key: each.error and each.error.reason for key, each in results.items()}
    assert reasons == {
        "asked": None,
        "missing": Reason.ITEM_NOT_FOUND,
        "image": Reason.MODEL_MISMATCH,
        "nothing": Reason.INVALID_FIELD,
        "short": Reason.INVALID_FIELD,
        "wrong": Reason.DIMENSION_MISMATCH,
        "gone": Reason.IMAGE_UNREADABLE,
        "last": None,
    }


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"threshold": 1.5}, "options.threshold"),
        ({"threshold": 0.0}, "options.threshold"),
        ({"review_threshold": 0.95}, "options.review_threshold"),
        ({"pdq_distance": 256}, "options.pdq_distance"),
        ({"pdq_review_distance": 3}, "options.pdq_review_distance"),
        ({"limit": 101}, "options.limit"),
        ({"filter": "n >"}, "options.filter"),
        ({"rule": MatchRule.VECTOR}, "signals.vector_f32_le"),
    ],
)
def test_what_cannot_be_is_refused_with_its_field(
    client: Client, bank: str, options: dict[str, object], field: str
) -> None:
    by_hash = MatchItem("hash", pdq_hash=COPY.pdq_hash)
    item = by_hash if "rule" in options else signals(0, 0.95, COPY)
    error = ask(client, bank, item, **options).error
    assert isinstance(error, InvalidField)
    assert error.field.startswith(field)


def test_lists_are_refused_with_what_is_wrong(client: Client, bank: str) -> None:
    with pytest.raises(InvalidField, match="64 hexadecimal digits"):
        client.banks.import_hashes(bank, [KnownHash("ab")])
    with pytest.raises(LimitExceeded, match="0 to 100"):
        client.banks.import_hashes(bank, [KnownHash(UNKNOWN, 101)])
    with pytest.raises(LimitExceeded, match="512 bytes"):
        client.banks.import_hashes(bank, [KnownHash(UNKNOWN, 1, "n" * 513)])
    with pytest.raises(NotFound):
        client.banks.get("no-such-bank")
    (unknown,) = client.banks.match("no-such-bank", [MatchItem("a", id="b")])
    assert unknown.error is not None
    assert unknown.error.reason is Reason.COLLECTION_NOT_FOUND
