"""One collection: durable store, exact head, sealed segments, queries."""
