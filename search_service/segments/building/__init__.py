"""What the builder's child process does."""
