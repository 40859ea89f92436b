"""The worker: drains the ingestion queue through the embedder into the index."""
