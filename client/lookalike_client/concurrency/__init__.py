"""Where the two halves of the client differ: tasks of an event loop, and threads."""
