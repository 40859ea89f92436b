"""A model whose vectors a projection makes shorter."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from embedder_service.models.definition import ModelDefinition, ModelError
from lookalike.wire.projection import Projection, ProjectionUnreadable


def projected(own: ModelDefinition, path: Path) -> ModelDefinition:
    """Return `own` with the projection that `path` holds.

    Raises:
        ModelError: it cannot be read, or was fitted for another model.
    """
    try:
        projection = Projection.load(path)
    except ProjectionUnreadable as error:
        raise ModelError(str(error)) from error
    if projection.model_fingerprint != own.fingerprint:
        raise ModelError(
            f"the projection {path} was fitted for the model {projection.model_fingerprint[:12]}…, "
            f"not for {own.name} ({own.fingerprint[:12]}…): fit one with `lookalike fit-projection`"
        )
    return replace(own, dimension=projection.dimension, projection=projection)
