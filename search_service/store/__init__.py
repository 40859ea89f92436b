"""The truth of a collection in SQLite; knows nothing of search."""
