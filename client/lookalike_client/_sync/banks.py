# Made by client/unasync.py from _async/banks.py: change that file, then `make unasync`.
"""Banks of known images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Unpack

import grpc

from lookalike.v1 import bank_pb2, bank_pb2_grpc
from lookalike_client import calls, convert, requests
from lookalike_client._sync import streams
from lookalike_client._sync.paging import pages
from lookalike_client.concurrency import threads
from lookalike_client.inputs import MatchItem
from lookalike_client.match_flow import MatchFlow
from lookalike_client.requests import MatchOptions
from lookalike_client.types import Bank, HashImport, KnownHash, MatchResult


class Banks:
    """Says whether images are known; keeps the lists of hashes of banks."""

    def __init__(
        self,
        channel: grpc.Channel,
        explain: calls.Explain,
        timeout_s: float,
        patience_s: float,
    ) -> None:
        self._explain = explain
        self._stub = bank_pb2_grpc.MatchServiceStub(channel)
        self._timeout_s = timeout_s
        self._patience_s = patience_s

    def match(
        self, collection: str, items: threads.Items[MatchItem], **options: Unpack[MatchOptions]
    ) -> Iterator[MatchResult]:
        """Say of each image whether it is among the known ones of a bank.

        Results come in the order in which they are ready; one that could not be matched has
        an `error`. Iterate to make it run.

        Raises:
            InvalidField: an option cannot be sent.
        """
        return streams.drive(
            MatchFlow(collection, requests.match_options(options)),
            items,
            self._stub.MatchImages,
            calls.Patience(self._patience_s, self._explain),
        )

    def get(self, collection: str) -> Bank:
        """Say what a bank can match, and with which threshold."""
        request = bank_pb2.GetBankRequest(collection=collection)
        with calls.translated(self._explain):
            response = self._stub.GetBank(request, timeout=self._timeout_s)
        return convert.bank(response)

    def import_hashes(self, collection: str, hashes: Sequence[KnownHash]) -> HashImport:
        """Put PDQ hashes of known images on the list of a bank; what is there is replaced.

        Raises:
            InvalidField: one of them is no hash.
        """
        added = replaced = 0
        for request in requests.import_hashes(collection, hashes):
            with calls.translated(self._explain):
                response = self._stub.ImportHashes(request, timeout=self._timeout_s)
            added += response.added
            replaced += response.replaced
        return HashImport(added, replaced)

    def hashes(self, collection: str, *, include_items: bool = False) -> Iterator[KnownHash]:
        """Yield the hashes on the list of a bank, and with `include_items` those of its items."""
        request = bank_pb2.ListHashesRequest(
            collection=collection, page_size=1_000, include_items=include_items
        )
        for page in pages(self._explain, self._stub.ListHashes, request, timeout_s=self._timeout_s):
            for each in page.hashes:
                yield convert.known_hash(each)

    def delete_hashes(self, collection: str, hashes: Sequence[str] | None) -> int:
        """Take PDQ hashes off the list of a bank, all with None; return how many were on it.

        Raises:
            InvalidField: one of them is no hash.
        """
        deleted = 0
        for request in requests.delete_hashes(collection, hashes):
            with calls.translated(self._explain):
                response = self._stub.DeleteHashes(request, timeout=self._timeout_s)
            deleted += response.deleted
        return deleted
