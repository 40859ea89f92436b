"""Which groups of items there are, what they are called, and where they lie on a map."""
