"""What a run looks up at its end: outcomes that nobody told, and marks of images."""

from collections.abc import Iterator

import pytest

from lookalike.wire.errors import ImageUnreadable, NotFound
from lookalike.wire.vectors import F32
from lookalike_client import Acceptance, Client, DuplicateSettings, ImageItem, VectorItem
from lookalike_client.indexing.aftermath import look_up_untold, note_marks
from lookalike_client.indexing.ledger import Ledger
from lookalike_client.testing import FakeServer, vector_of_hash
from lookalike_client.types import ImageFacts

COUNT = 1_201  # more than two requests hold


def embed(image: bytes) -> F32:
    if image.startswith(b"poison"):
        raise ImageUnreadable("the bytes are no image")
    return vector_of_hash(image)


@pytest.fixture
def client() -> Iterator[Client]:
    with FakeServer(embed=embed) as server, Client(server.address) as connected:
        connected.collections.create("photos", duplicates=DuplicateSettings("reject", 0.99))
        yield connected


def submitted(client: Client, images: dict[str, bytes]) -> Ledger:
    """Submit images; note the acceptances, and no outcome."""
    ledger = Ledger()
    items = [ImageItem(name, image=data) for name, data in images.items()]
    for acceptance in client.submit_images("photos", items):
        ledger.accept(acceptance)
    return ledger


def test_outcomes_that_were_not_told_are_looked_up(client: Client) -> None:
    images = {f"{number}": f"picture {number}".encode() for number in range(COUNT)}
    ledger = submitted(client, {**images, "bad": b"poison", "copy": b"picture 7"})
    ledger.accept(Acceptance("gone", 10**6))
    assert not ledger.all_ended()

    look_up_untold(client, "photos", ledger)

    assert ledger.all_ended()
    assert (ledger.stored, ledger.tally().done) == (COUNT, COUNT + 3)
    assert [failure.id for failure in ledger.failures] == ["bad"]
    assert [(each.id, each.of, each.stored) for each in ledger.kept_out()] == [("copy", "7", False)]
    assert ledger.lost == ["gone"]


def test_what_a_newer_version_replaced_counts_as_stored(client: Client) -> None:
    ledger = submitted(client, {"a": b"first"})
    submitted(client, {"a": b"second"})

    look_up_untold(client, "photos", ledger)

    assert (ledger.stored, ledger.lost) == (1, [])


def test_an_older_failure_of_the_item_is_not_this_one(client: Client) -> None:
    submitted(client, {"a": b"poison"})
    ledger = Ledger()
    ledger.accept(Acceptance("a", 10**6))

    look_up_untold(client, "photos", ledger)

    assert (ledger.failures, ledger.lost) == ([], ["a"])


def test_a_collection_that_is_gone_ends_the_look(client: Client) -> None:
    ledger = submitted(client, {"a": b"one"})
    client.collections.delete("photos")

    with pytest.raises(NotFound):
        look_up_untold(client, "photos", ledger)


def test_marks_are_read_of_what_the_run_stored(client: Client) -> None:
    client.collections.create("own", model=None, dimension=2)
    facts = {"plain": (False, False), "white": (False, True), "both": (True, True)}
    items = [
        VectorItem(
            name,
            [1.0, number],
            facts=ImageFacts(1, 1, 1, "", "0", 0.0, "PNG", truncated=truncated, blank=blank),
        )
        for number, (name, (truncated, blank)) in enumerate(facts.items())
    ]
    list(client.upsert_vectors("own", [*items, VectorItem("bare", [0.0, 1.0])]))
    ledger = Ledger(stored_ids=["white", "both", "plain", "bare", "deleted meanwhile"])

    note_marks(client, "own", ledger)

    assert (ledger.blank, ledger.truncated) == (["both", "white"], ["both"])
