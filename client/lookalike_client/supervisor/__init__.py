"""Runs a whole system on one machine: Redis, embedder, worker and search service."""
