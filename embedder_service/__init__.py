"""The embedding service: images to unit vectors, and the worker that drains the queue."""
