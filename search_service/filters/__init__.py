"""Conditions on metadata: syntax, limits and the index that answers them."""
