"""What may be wrong with a collection, looked for on its own items."""
