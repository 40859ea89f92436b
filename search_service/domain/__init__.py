"""Values that the service speaks in: no transport, no storage, no search."""
