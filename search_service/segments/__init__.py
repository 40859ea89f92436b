"""Sealed segments: immutable, checked graphs over ranges of a shard's vectors."""
