"""One way to read settings, for every process of the system."""
