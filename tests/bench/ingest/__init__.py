"""The figures of ingestion."""
