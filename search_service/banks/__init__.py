"""Collections as banks of known images, by the PDQ hashes of items and of others."""
