"""What queries see: the head, the segments, which ordinals are live."""
