"""Other ways to serve the same network; each runs as a process of its own."""
