"""Lookalike: image similarity search over gRPC."""
