"""The ingestion queue in Redis, as its two ends share it."""
