"""Python SDK and command line of Lookalike."""

from lookalike.wire.channel import TlsFiles
from lookalike.wire.errors import LookalikeError
from lookalike_client.aio import AsyncClient
from lookalike_client.client import Client
from lookalike_client.inputs import (
    DeleteItem,
    Example,
    ImageItem,
    MetadataItem,
    Query,
    VectorItem,
)
from lookalike_client.types import DuplicateSettings, Fields, IndexSettings

__all__ = [
    "AsyncClient",
    "Client",
    "DeleteItem",
    "DuplicateSettings",
    "Example",
    "Fields",
    "ImageItem",
    "IndexSettings",
    "LookalikeError",
    "MetadataItem",
    "Query",
    "TlsFiles",
    "VectorItem",
]
