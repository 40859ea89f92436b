"""Which collections there are, and their shards."""
