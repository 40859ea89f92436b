"""The clients in other languages under client/examples, against real services."""
