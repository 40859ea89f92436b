"""The fake service's collections and aliases."""

# ruff: noqa: N802 - the contract names the methods

from __future__ import annotations

import uuid

from lookalike.v1 import collection_pb2, collection_pb2_grpc
from lookalike.wire.errors import InvalidField, LimitExceeded, NotFound, Reason
from lookalike_client.testing.answering import check_name, now, page_of, unary
from lookalike_client.testing.models import FINGERPRINT, check_model
from lookalike_client.testing.state import FakeCollection, State

_DIMENSIONS = range(2, 4097)
_DEFAULT_SAMPLE = 200
_DEFAULT_LIMIT = 10
_OFF = collection_pb2.DuplicateSettings(policy=collection_pb2.DUPLICATE_POLICY_OFF)


class CollectionServicer(collection_pb2_grpc.CollectionServiceServicer):
    """Creates, describes, changes and removes collections."""

    def __init__(self, state: State) -> None:
        self._state = state

    @unary
    def CreateCollection(
        self, request: collection_pb2.CreateCollectionRequest
    ) -> collection_pb2.CreateCollectionResponse:
        check_name(request.name, "name")
        with self._state.lock:
            self._state.check_free(request.name, "name")
            dimension, fingerprint = self._bind(request)
            message = collection_pb2.Collection(
                name=request.name,
                uid=uuid.uuid4().hex,
                dimension=dimension,
                model_fingerprint=fingerprint,
                create_time=now(),
            )
            if request.settings.vectors:
                raise InvalidField("settings.vectors", "the fake service has no vectors by name")
            settings = message.settings
            settings.index.CopyFrom(request.settings.index)
            if not settings.index.preset:
                settings.index.preset = collection_pb2.INDEX_PRESET_BALANCED
            settings.duplicates.CopyFrom(_duplicates(request.settings.duplicates))
            settings.thumbnails.CopyFrom(_thumbnails(request.settings.thumbnails))
            self._state.collections[request.name] = FakeCollection(message)
            return collection_pb2.CreateCollectionResponse(collection=self._describe(request.name))

    @unary
    def GetCollection(
        self, request: collection_pb2.GetCollectionRequest
    ) -> collection_pb2.GetCollectionResponse:
        with self._state.lock:
            return collection_pb2.GetCollectionResponse(
                collection=self._describe(request.collection)
            )

    @unary
    def UpdateCollection(
        self, request: collection_pb2.UpdateCollectionRequest
    ) -> collection_pb2.UpdateCollectionResponse:
        with self._state.lock:
            settings = self._state.find(request.collection).message.settings
            if request.HasField("duplicates"):
                settings.duplicates.CopyFrom(_duplicates(request.duplicates))
            if request.HasField("thumbnails"):
                settings.thumbnails.CopyFrom(_thumbnails(request.thumbnails))
            if request.HasField("expansion_search"):
                settings.index.expansion_search = request.expansion_search
            return collection_pb2.UpdateCollectionResponse(
                collection=self._describe(request.collection)
            )

    @unary
    def ListCollections(
        self, request: collection_pb2.ListCollectionsRequest
    ) -> collection_pb2.ListCollectionsResponse:
        with self._state.lock:
            names = sorted(self._state.collections)
            page, token = page_of(names, request.page_size, request.page_token)
            return collection_pb2.ListCollectionsResponse(
                collections=[self._describe(name) for name in page], next_page_token=token
            )

    @unary
    def DeleteCollection(
        self, request: collection_pb2.DeleteCollectionRequest
    ) -> collection_pb2.DeleteCollectionResponse:
        with self._state.lock:
            if request.name in self._state.aliases:
                raise InvalidField("name", f'"{request.name}" is an alias')
            found = self._state.find(request.name, "name")
            name = found.message.name
            del self._state.collections[name]
            self._state.aliases = {
                alias: target for alias, target in self._state.aliases.items() if target != name
            }
            return collection_pb2.DeleteCollectionResponse(deleted_items=len(found.items))

    @unary
    def SetAlias(self, request: collection_pb2.SetAliasRequest) -> collection_pb2.SetAliasResponse:
        check_name(request.alias, "alias")
        with self._state.lock:
            name = self._state.find(request.collection).message.name
            if request.alias in self._state.collections:
                self._state.check_free(request.alias, "alias")
            before = self._state.aliases.get(request.alias, "")
            self._state.aliases[request.alias] = name
            return collection_pb2.SetAliasResponse(previous_collection=before)

    @unary
    def DeleteAlias(
        self, request: collection_pb2.DeleteAliasRequest
    ) -> collection_pb2.DeleteAliasResponse:
        with self._state.lock:
            if self._state.aliases.pop(request.alias, None) is None:
                raise NotFound(
                    "there is no such alias",
                    reason=Reason.COLLECTION_NOT_FOUND,
                    field="alias",
                )
            return collection_pb2.DeleteAliasResponse()

    @unary
    def ListAliases(
        self, request: collection_pb2.ListAliasesRequest
    ) -> collection_pb2.ListAliasesResponse:
        with self._state.lock:
            pairs = sorted(self._state.aliases.items())
            page, token = page_of(pairs, request.page_size, request.page_token)
            return collection_pb2.ListAliasesResponse(
                aliases=[collection_pb2.Alias(alias=each, collection=name) for each, name in page],
                next_page_token=token,
            )

    @unary
    def MeasureRecall(
        self, request: collection_pb2.MeasureRecallRequest
    ) -> collection_pb2.MeasureRecallResponse:
        with self._state.lock:
            items = len(self._state.find(request.collection).items)
        # There is no graph: what is compared exactly misses nothing.
        measured = [
            collection_pb2.RecallMeasurement(
                expansion_search=expansion,
                recall=1.0,
                least_recall=1.0,
                queries=min(items, request.sample_size or _DEFAULT_SAMPLE),
                limit=request.limit or _DEFAULT_LIMIT,
            )
            for expansion in request.expansion_search or [0]
        ]
        return collection_pb2.MeasureRecallResponse(measurements=measured)

    def _describe(self, name: str) -> collection_pb2.Collection:
        found = self._state.find(name)
        message = collection_pb2.Collection()
        message.CopyFrom(found.message)
        count = len(found.items)
        message.stats.items = message.stats.head_vectors = message.stats.unindexed_vectors = count
        own = found.message.name
        message.aliases.extend(
            sorted(alias for alias, target in self._state.aliases.items() if target == own)
        )
        return message

    def _bind(self, request: collection_pb2.CreateCollectionRequest) -> tuple[int, str]:
        """Return the dimension and the model's fingerprint of a new collection."""
        if request.WhichOneof("binding") == "model":
            check_model(request.model)
            dimension = self._state.model.dimension
            if request.dimension not in (0, dimension):
                raise InvalidField("dimension", f"the model makes vectors of {dimension}")
            return dimension, FINGERPRINT
        if request.dimension not in _DIMENSIONS:
            raise InvalidField("dimension", "must be 2 to 4,096")
        return request.dimension, ""


def _duplicates(asked: collection_pb2.DuplicateSettings) -> collection_pb2.DuplicateSettings:
    """Return duplicate settings in force.

    Raises:
        InvalidField: a threshold outside (0, 1].
    """
    if asked.policy in (
        collection_pb2.DUPLICATE_POLICY_UNSPECIFIED,
        collection_pb2.DUPLICATE_POLICY_OFF,
    ):
        return _OFF
    if not 0.0 < asked.threshold <= 1.0:
        raise InvalidField("duplicates.threshold", "must be above 0 and at most 1")
    return asked


def _thumbnails(asked: collection_pb2.ThumbnailSettings) -> collection_pb2.ThumbnailSettings:
    """Return thumbnail settings in force.

    Raises:
        InvalidField: the side is outside its range.
    """
    told = f"must be 32 to 256, got {asked.side_px:,}"
    if asked.side_px > 256:
        raise LimitExceeded("thumbnails.side_px", told)
    if 0 < asked.side_px < 32:
        raise InvalidField("thumbnails.side_px", told)
    return asked
