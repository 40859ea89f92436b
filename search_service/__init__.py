"""The search service: durable store, index segments, queries, ingestion front door."""
