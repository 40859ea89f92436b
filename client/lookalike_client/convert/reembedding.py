"""Collections that move to another model."""

from __future__ import annotations

from lookalike.v1 import reembedding_pb2
from lookalike.wire.status import from_item_error
from lookalike_client import types


def reembedding(message: reembedding_pb2.Reembedding) -> types.Reembedding:
    """Return how far a pair of collections is."""
    return types.Reembedding(
        source=message.source,
        target=message.target,
        source_items=message.source_items,
        target_items=message.target_items,
        target_queued=message.target_queued,
        target_missing=message.target_missing,
        source_queued=message.source_queued,
        source_missing=message.source_missing,
        unsettled=message.unsettled,
        source_only_queued=message.source_only_queued,
        source_damage=message.source_damage,
        target_damage=message.target_damage,
    )


def missing_item(message: reembedding_pb2.MissingItem) -> types.MissingItem:
    """Return an item that a collection lacks."""
    return types.MissingItem(
        message.id, message.version, message.sha256, message.further_sha256, message.pictures
    )


def offer_outcome(message: reembedding_pb2.OfferOutcome) -> types.OfferOutcome:
    """Return what became of a picture."""
    error = from_item_error(message.error) if message.HasField("error") else None
    return types.OfferOutcome(message.id, message.queued, error)
