"""What each format on the disk looked like when it was new; `writing.py` makes the next file."""
