"""A search service on a Ray cluster of three nodes: `make test-cluster`."""
