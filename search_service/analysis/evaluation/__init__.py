"""How well a collection retrieves what its labels call alike."""
