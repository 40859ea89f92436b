"""The metadata index of a shard, and lists, counts and facets from it."""
