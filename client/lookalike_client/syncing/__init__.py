"""Keeps a collection in step with a folder: what moved, arrived, changed or is gone."""
