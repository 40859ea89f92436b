"""Snapshots: the state of a collection at a moment, kept, carried about, restored."""
