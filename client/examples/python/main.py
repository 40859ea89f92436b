"""Stores and searches vectors, then, with IMAGE, a picture; prints what it saw as JSON.

Knows nothing but the stubs that are generated from the contract:

    python main.py [--ca PEM] [--cert PEM] [--key PEM] [--token-file FILE] ADDRESS [IMAGE]
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import struct
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import grpc
from connect import Secrets, connect
from errors import Failure, failure_of

EXAMPLES = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(EXAMPLES / "python" / "stubs"))

# The stubs are found now.
from lookalike.v1 import collection_pb2 as collections  # noqa: E402
from lookalike.v1 import (  # noqa: E402
    collection_pb2_grpc,
    errors_pb2,
    ingest_pb2_grpc,
    search_pb2_grpc,
)
from lookalike.v1 import ingest_pb2 as ingest  # noqa: E402
from lookalike.v1 import search_pb2 as search  # noqa: E402

T = TypeVar("T")


class Program:
    """Calls of one service, with deadlines and patience."""

    def __init__(self, channel: grpc.Channel) -> None:
        self.collections = collection_pb2_grpc.CollectionServiceStub(channel)
        self.search = search_pb2_grpc.SearchServiceStub(channel)
        self.ingest = ingest_pb2_grpc.IngestServiceStub(channel)
        self.waits: list[Failure] = []

    def call(self, method: Callable[..., T], request: Any, timeout_s: float) -> T:
        """Make a call; where the service says when to try again, do so.

        Without a deadline, which `timeout_s` sets, a call may wait for ever.
        """
        attempt = 1
        while True:
            try:
                return method(request, timeout=timeout_s)
            except grpc.RpcError as error:
                failure = failure_of(error)
                if failure.retry_ms is None or attempt == 10:
                    raise
                self.waits.append(failure)
                time.sleep(failure.retry_ms / 1000)
                attempt += 1

    def failure_from(self, method: Callable[..., Any], request: Any) -> dict[str, Any]:
        """Make a call that fails; return why."""
        try:
            self.call(method, request, 10)
        except grpc.RpcError as error:
            return dataclasses.asdict(failure_of(error))
        raise SystemExit("the call succeeded")

    def vectors(self) -> dict[str, Any]:
        """Store and search vectors of our own."""
        collection = f"example-{uuid.uuid4()}"
        create = collections.CreateCollectionRequest(
            name=collection, dimension=3, external_vectors=True
        )
        self.call(self.collections.CreateCollection, create, 30)
        upsert = search.UpsertVectorsRequest(
            collection=collection,
            items=[
                _item("red", (1, 0, 0), colour="red", price=10),
                _item("pink", (0.9, 0.3, 0.3), colour="red", price=80),
                _item("blue", (0, 0, 1), colour="blue", price=10),
                _item("short", (1, 0)),
            ],
        )
        stored = {
            result.id: _outcome(result)
            for answer in self.search.UpsertVectors(iter([upsert]), timeout=60)
            for result in answer.results
        }
        query = search.Query(vector_f32_le=_vector(1, 0.1, 0.1))
        asked = search.SearchRequest(collection=collection, queries=[query], limit=10)
        asked.filter.expression = 'colour = "red" and price < 50'
        asked.fields.metadata = True
        found = self.call(self.search.Search, asked, 10)
        hits = [
            {"id": hit.id, "score": hit.score, "colour": hit.item.metadata["colour"]}
            for hit in found.results[0].hits
        ]
        nowhere = search.SearchRequest(collection="nowhere", queries=[query])
        short = search.SearchRequest(
            collection=collection, queries=[search.Query(vector_f32_le=_vector(1))]
        )
        errors = {
            "nowhere": self.failure_from(self.search.Search, nowhere),
            "short": self.failure_from(self.search.Search, short),
        }
        self._delete(collection)
        return {"stored": stored, "hits": hits, "errors": errors}

    def images(self, picture: bytes) -> dict[str, Any]:
        """Submit pictures, wait for what becomes of them, search by one."""
        collection = f"example-{uuid.uuid4()}"
        # An empty model takes the embedder's default one.
        create = collections.CreateCollectionRequest(name=collection, model="")
        made = self.call(self.collections.CreateCollection, create, 30).collection
        uploads = [
            (collection, "photo", picture),
            (collection, "broken", b"no image"),
            ("nowhere", "photo", picture),
        ]
        requests = [
            ingest.SubmitImagesRequest(
                request_id=number,
                collection=into,
                job_id=collection,
                upload=ingest.ImageUpload(id=item_id, image=data),
            )
            for number, (into, item_id, data) in enumerate(uploads, 1)
        ]
        submitted = {
            answer.request_id: _reason(answer.error) if answer.HasField("error") else "accepted"
            for answer in self.ingest.SubmitImages(iter(requests), timeout=60)
        }
        # Until each that was accepted is searchable or has failed.
        watch = ingest.WatchIngestRequest(job_id=collection)
        events = self.ingest.WatchIngest(watch, timeout=120)
        outcomes = {event.result.id: _outcome(event.result) for event in events}
        asked = search.SearchRequest(
            collection=collection, queries=[search.Query(image=picture)], limit=3
        )
        found = self.call(self.search.Search, asked, 30)
        hits = [{"id": hit.id, "score": hit.score} for hit in found.results[0].hits]
        self._delete(collection)
        return {
            "dimension": made.dimension,
            "submitted": submitted,
            "outcomes": outcomes,
            "hits": hits,
        }

    def _delete(self, collection: str) -> None:
        request = collections.DeleteCollectionRequest(name=collection)
        self.call(self.collections.DeleteCollection, request, 30)


def _vector(*components: float) -> bytes:
    """Little-endian float32, as vectors travel."""
    return struct.pack(f"<{len(components)}f", *components)


def _item(item_id: str, components: tuple[float, ...], **metadata: Any) -> search.VectorUpsert:
    item = search.VectorUpsert(id=item_id, vector_f32_le=_vector(*components))
    item.metadata.update(metadata)
    return item


def _reason(error: errors_pb2.ItemError) -> str:
    return errors_pb2.ErrorReason.Name(error.reason)


def _outcome(result: search.MutationResult) -> str:
    if result.HasField("error"):
        return _reason(result.error)
    return search.MutationStatus.Name(result.status)


def main() -> None:
    """Read the command line, call, print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("address")
    parser.add_argument("image", type=Path, nargs="?")
    for name in ("--ca", "--cert", "--key", "--token-file"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--service-config", type=Path, default=EXAMPLES / "service-config.json")
    given = parser.parse_args()
    secrets = Secrets(given.ca, given.cert, given.key, given.token_file)
    with connect(given.address, secrets, given.service_config) as channel:
        program = Program(channel)
        seen = {
            "vectors": program.vectors(),
            "images": program.images(given.image.read_bytes()) if given.image else None,
            "waits": [dataclasses.asdict(each) for each in program.waits],
        }
    json.dump(seen, sys.stdout, indent=2)


if __name__ == "__main__":
    main()
