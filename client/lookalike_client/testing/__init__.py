"""A search service for tests: in this process, in memory, started in milliseconds.

It speaks the contract over a real socket, so that programs under test use the client
that they use otherwise, blocking or asyncio. With pytest:

    import pytest
    from lookalike_client import Client, ImageItem, Query
    from lookalike_client.testing import FakeServer


    @pytest.fixture
    def client():
        with FakeServer() as server, Client(server.address) as client:
            yield client


    def test_what_was_indexed_is_found(client):
        client.collections.create("photos")
        list(client.submit_images("photos", [ImageItem("a", image=b"...")]))
        assert client.search("photos", Query.by_image(b"...")).hits[0].id == "a"

Scores are exact cosines; filters, groups, facets and orders are as the service has
them. An image's vector is made of its bytes' hash unless `FakeServer` is given another
way: equal bytes are alike, all else is not. What is submitted is stored before it is
acknowledged. Snapshots and references to images (`image_uri`) are refused, and not all
of the service's limits are checked.
"""

from lookalike_client.testing.models import DIMENSION, FINGERPRINT, vector_of_hash
from lookalike_client.testing.server import FakeServer

__all__ = ["DIMENSION", "FINGERPRINT", "FakeServer", "vector_of_hash"]
