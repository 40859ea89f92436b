"""Mutations of items with several vectors in the log of a cluster."""

from __future__ import annotations

import numpy as np

from search_service.cluster.entries import decode_mutation, encode_mutation
from search_service.domain.mutations import Upsert


def test_an_entry_of_the_log_holds_all_vectors_of_an_item() -> None:
    rows = np.eye(3, dtype=np.float32)
    for further in ((), (rows[1], rows[2])):
        entry = encode_mutation(Upsert("a", rows[0], {"n": 1}, b"facts", b"", further=further))
        found = decode_mutation(entry, 7)

        assert isinstance(found, Upsert)
        assert (found.id, found.version, found.metadata, found.facts) == (
            "a",
            7,
            {"n": 1},
            b"facts",
        )
        assert found.vector.tolist() == rows[0].tolist()
        assert [each.tolist() for each in found.further] == [each.tolist() for each in further]
        # What a release without such items can read is written as it reads it.
        assert (b'"format":1' in entry) == (not further)
