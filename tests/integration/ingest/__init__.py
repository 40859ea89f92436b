"""Ingestion against a real server and real sockets."""
