"""Which images of a collection are the same picture, and which only look alike."""
