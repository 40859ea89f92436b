"""Vectors to fit a projection on: of a collection, of its export, or of a folder."""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import numpy as np

from lookalike.v1 import embedder_pb2, embedder_pb2_grpc
from lookalike.wire.errors import (
    DimensionMismatch,
    Exhausted,
    ImageTooLarge,
    ImageUnreadable,
    InvalidField,
)
from lookalike.wire.projection import ProjectionFit
from lookalike.wire.status import from_rpc_error
from lookalike.wire.vectors import F32, decode
from lookalike_client.tables.arrow_files import open_parquet
from lookalike_client.tables.binding import Binding
from lookalike_client.types import Fields

if TYPE_CHECKING:
    from lookalike_client import Client

Told = Callable[[str], None]

_GROUP = 512
# Images under way at one time: a little more than an embedder's cores.
_UNDER_WAY = 16
_MOST_TRIES = 60
_LONGEST_DELAY_S = 5.0


def fit_collection(client: Client, collection: str) -> ProjectionFit:
    """Return the fit of all vectors of a collection.

    Raises:
        LookalikeError: there is no such collection, or it cannot be read.
    """
    described = client.collections.get(collection)
    items = client.list(described.uid, fields=Fields(metadata=False, vector=True))
    vectors = (item.vector for item in items if item.vector is not None)
    return _fitted(described.model_fingerprint, vectors)


def fit_export(path: Path) -> ProjectionFit:
    """Return the fit of all vectors of a file that `lookalike export` wrote.

    Raises:
        InvalidField: it is another file.
        OSError: it cannot be read.
    """
    source = open_parquet(path)
    fingerprint = Binding.of(source).fingerprint
    if fingerprint is None:
        raise InvalidField("source", f"{path} is no export of `lookalike export`")
    return _fitted(
        fingerprint, (_vector(path, row.cells.get("vector")) for row in source.read("vector"))
    )


def fit_images(
    channel: grpc.Channel, files: Sequence[Path], *, model: str, timeout_s: float, told: Told
) -> ProjectionFit:
    """Return the fit of the pictures in `files`, as an embedder sees them.

    A file that is no picture is told of and left out.

    Raises:
        LookalikeError: the embedder does not answer, or has no such model.
    """
    stub = embedder_pb2_grpc.EmbedderServiceStub(channel)
    try:
        served = stub.GetModel(embedder_pb2.GetModelRequest(model=model), timeout=timeout_s).model
    except grpc.RpcError as error:
        raise from_rpc_error(error) from error

    def embed(file: Path) -> F32 | None:
        request = embedder_pb2.EmbedImageRequest(
            encoded=file.read_bytes(), model=served.fingerprint, lane=embedder_pb2.LANE_BULK
        )
        try:
            return _patiently(lambda: stub.EmbedImage(request, timeout=timeout_s))
        except (ImageUnreadable, ImageTooLarge, InvalidField) as error:
            told(f"{file}: {error.message}")
            return None

    vectors = (vector for vector in _side_by_side(embed, files) if vector is not None)
    return _fitted(served.fingerprint, vectors)


def _patiently(call: Callable[[], embedder_pb2.EmbedImageResponse]) -> F32:
    """Return the vector; wait while the embedder has too much to do."""
    for tries in range(_MOST_TRIES):
        try:
            return decode(call().embedding.vector_f32_le, field="embedding")
        except grpc.RpcError as error:
            refused = from_rpc_error(error)
            if not isinstance(refused, Exhausted) or tries + 1 == _MOST_TRIES:
                raise refused from error
            delay_s = min(refused.retry_delay_s or 0.1, _LONGEST_DELAY_S)
            time.sleep(delay_s * random.uniform(0.5, 1.5))  # noqa: S311 - spreads retries, no secret
    raise AssertionError("the last try returns or raises")


def _side_by_side(
    embed: Callable[[Path], F32 | None], files: Sequence[Path]
) -> Iterator[F32 | None]:
    """Yield the results in order, with a bounded number of calls under way."""
    under_way: deque[Future[F32 | None]] = deque()
    with ThreadPoolExecutor(_UNDER_WAY) as threads:
        for file in files:
            if len(under_way) >= _UNDER_WAY:
                yield under_way.popleft().result()
            under_way.append(threads.submit(embed, file))
        while under_way:
            yield under_way.popleft().result()


def _vector(path: Path, value: object) -> F32:
    if not isinstance(value, np.ndarray):
        raise InvalidField("source", f"{path} has an item without a vector")
    vector: F32 = value.astype(np.float32, copy=False)
    return vector


def _fitted(fingerprint: str, vectors: Iterator[F32]) -> ProjectionFit:
    fit = ProjectionFit(fingerprint)
    group: list[F32] = []
    for vector in vectors:
        if group and vector.shape != group[0].shape:
            raise DimensionMismatch.between("vector", got=vector.size, want=group[0].size)
        group.append(vector)
        if len(group) == _GROUP:
            fit.add(np.stack(group))
            group = []
    if group:
        fit.add(np.stack(group))
    return fit
