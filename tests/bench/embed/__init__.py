"""The embedding service against the bare runtime and against other servers."""
