"""Entries of the queue, and the forms of ids."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike.serving.queue import entries
from lookalike.serving.queue.entries import EntryDamaged, Kind, QueuedMutation
from lookalike.wire.errors import InvalidField

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
_MUTATIONS = st.builds(
    QueuedMutation,
    collection_uid=_TEXT,
    id=_TEXT,
    kind=st.sampled_from(Kind),
    version=st.integers(0, 2**62),
    submit_time_ms=st.integers(0, 2**50),
    job_id=_TEXT,
    model_fingerprint=_TEXT,
    image=st.binary(max_size=100),
    metadata=st.binary(max_size=100),
    keep_metadata=st.booleans(),
    twinned=st.booleans(),
    thumbnail_side_px=st.integers(0, 256),
)


@given(_MUTATIONS)
def test_what_is_encoded_is_decoded(mutation: QueuedMutation) -> None:
    flat = entries.encode(mutation)
    fields = dict(zip(flat[::2], flat[1::2], strict=True))
    assert entries.decode(fields) == mutation
    assert entries.counted_bytes(fields) == mutation.counted_bytes
    assert mutation.counted_bytes >= len(mutation.image) + len(mutation.metadata)


@given(st.dictionaries(st.sampled_from([b"u", b"i", b"k", b"v", b"t", b"n"]), st.binary()))
def test_damaged_entries_are_told(fields: dict[bytes, bytes]) -> None:
    try:
        mutation = entries.decode(fields)
    except EntryDamaged:
        return
    assert mutation.kind in Kind
    assert entries.counted_bytes(fields) >= 0


@pytest.mark.parametrize("job_id", ["", "a", "A-1_b.c", "x" * 64])
def test_job_ids(job_id: str) -> None:
    assert entries.check_job_id(job_id) == job_id


@pytest.mark.parametrize("job_id", ["a b", "{a}", "a:b", "x" * 65, "ä", "a\n"])
def test_other_job_ids(job_id: str) -> None:
    with pytest.raises(InvalidField):
        entries.check_job_id(job_id)


@pytest.mark.parametrize("text", ["", "1", "1-", "-1", "a-1", "1-1-1", "18446744073709551616-0"])
def test_other_stream_ids(text: str) -> None:
    with pytest.raises(InvalidField):
        entries.check_stream_id(text, field="cursor")
