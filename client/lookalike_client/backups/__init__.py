"""Snapshots in an object store: kept by schedule, thinned out, restored."""
