"""What the caller of the call under way sees of the catalog."""
