"""Questions about a whole collection, answered by a child process beside the searches."""
